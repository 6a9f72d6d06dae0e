use std::time::Duration;

use futures_util::future::join_all;
use tidemill::code::Code;
use tidemill::config::Configuration;
use tidemill::event::Event;
use tidemill::headers;
use tidemill::host::Host;
use tidemill::postgres::tokio_postgres::{Client, NoTls, connect};
use tidemill::postgres::{Settings, migrate};
use tidemill::query;
use tokio::runtime::{Builder, Runtime};

use super::{Error, Store, TABLES};
use crate::OrderRequested;
use crate::key::Key;
use crate::order::{Line, NewOrder, Order};

/// Requests that come at once.
const AT_ONCE: usize = 24;
/// How long a relay may take with an event.
const SENT: Duration = Duration::from_secs(20);

pub(crate) fn event_loop() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn key(text: &str) -> Key {
    Key::parse(text.as_bytes()).unwrap()
}

fn asked(quantity: i64) -> NewOrder {
    let line = Line { stock_code: "85123A".to_owned(), quantity, unit_price_milli: 2_550 };
    NewOrder { customer: None, country: "France".to_owned(), lines: vec![line] }
}

/// A host with a log in memory, and rows in this place.
pub(crate) fn host(state: &str) -> Host {
    let configuration = Configuration::default().with("broker", "memory:").unwrap().with("state", state).unwrap();
    let mut host = Host::open(configuration).unwrap();
    host.writes(OrderRequested::TOPIC);
    host
}

/// A database of its own, with both kinds of tables, and a client of it.
pub(crate) async fn database(url: &str, name: &str) -> (String, Client) {
    let admin = client(url).await;
    admin.batch_execute(&format!("drop database if exists {name} with (force)")).await.unwrap();
    admin.batch_execute(&format!("create database {name}")).await.unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    let own = format!("{server}/{name}");
    let settings = Settings::new(&own, "tidemill").unwrap();
    migrate(&settings).await.unwrap();
    TABLES.migrate(&settings).await.unwrap();
    let client = client(&own).await;
    (own, client)
}

#[expect(clippy::disallowed_methods, reason = "the driver of a connection: it ends when the client is dropped")]
async fn client(url: &str) -> Client {
    let (client, connection) = connect(url, NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// The keys and ids of all events that the log has.
async fn events(host: &Host) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    query::records(&**host.broker(), OrderRequested::TOPIC, &mut Vec::new(), |_, record| {
        assert_eq!(record.headers.get(headers::TYPE), Some(OrderRequested::NAME.as_bytes()));
        assert_eq!(record.headers.get(headers::SOURCE), Some(crate::SOURCE.as_bytes()));
        found.push((text(record.key.as_deref().unwrap()), text(record.headers.get(headers::ID).unwrap())));
    })
    .await
    .unwrap();
    found
}

/// Many requests of two keys at once place two orders, and two events come to the log.
async fn one_of_each_key(host: &Host) {
    let store = Store::open(host).await.unwrap();
    let (one, two) = (key("one"), key("two"));
    let requests = (0..AT_ONCE).map(|number| store.place(if number % 2 == 0 { &one } else { &two }, asked(6)));
    let answers: Vec<_> = join_all(requests).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().step_by(2).all(|order| *order == answers[0]));
    assert!(answers.iter().skip(1).step_by(2).all(|order| *order == answers[1]));
    assert!(matches!(store.place(&one, asked(7)).await, Err(Error::OtherOrder)));
    let found = store.find(&one.order_id()).await.unwrap().unwrap();
    let status = found.status.as_ref().map(|status| (&*status.status, status.reason.as_deref()));
    assert_eq!(status, host.database().map(|_| ("placed", None)));
    assert_eq!(Order { status: None, ..found }, answers[0]);
    assert_eq!(store.find(&key("three").order_id()).await.unwrap(), None);
    let running = host.start().await.unwrap();
    let (begun, mut sent) = (host.clock().now(), Vec::new());
    while sent.len() < 2 && host.clock().now().since(begun) < SENT {
        host.clock().sleep(Duration::from_millis(10)).await;
        sent = events(host).await;
    }
    running.stop().await.unwrap();
    sent = events(host).await;
    sent.sort();
    let mut expected: Vec<_> = [one, two].map(|key| (key.order_id(), key.order_id())).into();
    expected.sort();
    assert_eq!(sent, expected);
}

#[test]
fn rows_hold_one_order_and_one_event_for_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&format!("embedded:{}", folder.path().join("rows").display()));
    event_loop().block_on(one_of_each_key(&host));
}

#[test]
fn a_database_holds_one_order_and_one_event_for_each_key() {
    let Some(url) = devkit::postgres::for_tests("orders in Postgres") else { return };
    event_loop().block_on(async {
        let (own, client) = database(url, "storefront_orders").await;
        one_of_each_key(&host(&own)).await;
        for (table, expected) in [("storefront.orders", 2), ("tidemill.outbox", 0)] {
            let count = client.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap();
            assert_eq!(count.get::<_, i64>(0), expected, "{table}");
        }
    });
}

#[test]
fn a_key_that_is_held_for_long_is_told_so() {
    let Some(url) = devkit::postgres::for_tests("keys that are held") else { return };
    event_loop().block_on(async {
        let (own, mut client) = database(url, "storefront_busy").await;
        let host = host(&own);
        let store = Store::open(&host).await.unwrap();
        let key = key("one");
        let held = client.transaction().await.unwrap();
        let insert = "insert into storefront.orders values ($1, 'one', 7, null, 'France', '[]', 0)";
        held.execute(insert, &[&key.order_id()]).await.unwrap();
        assert!(matches!(store.place(&key, asked(6)).await, Err(Error::Busy)));
        held.rollback().await.unwrap();
        assert_eq!(store.place(&key, asked(6)).await.unwrap().id, key.order_id());
    });
}

#[test]
fn a_database_that_restarts_is_away_and_comes_back() {
    let options = devkit::postgres::Options::default();
    let Some(mut postgres) = devkit::postgres::own_for_tests("a database that restarts", &options) else { return };
    event_loop().block_on(async {
        let (own, _) = database(&postgres.url(), "storefront_restarts").await;
        let host = host(&own);
        let store = Store::open(&host).await.unwrap();
        let first = store.place(&key("one"), asked(1)).await.unwrap();
        postgres.kill();
        let away = store.place(&key("two"), asked(1)).await.unwrap_err();
        assert!(matches!(&away, Error::Away(cause) if cause.code == Code::DATABASE_UNREACHABLE), "{away:?}");
        postgres.restart().unwrap();
        assert_eq!(store.place(&key("one"), asked(1)).await.unwrap(), first);
        store.place(&key("two"), asked(1)).await.unwrap();
        // Restarted between two requests, it is not noticed: a connection that ended is replaced.
        postgres.restart().unwrap();
        store.place(&key("three"), asked(1)).await.unwrap();
    });
}

#[test]
fn what_has_no_rows_or_no_tables_is_refused() {
    let refused = |host: &Host| match event_loop().block_on(Store::open(host)) {
        Ok(_) => panic!("it is opened"),
        Err(cause) => cause,
    };
    let cause = refused(&host("broker"));
    assert_eq!(cause.code, Code::BAD_VALUE);
    assert!(cause.message.contains("--state postgres://"), "{cause}");
    let Some(url) = devkit::postgres::for_tests("tables that are missing") else { return };
    let (own, _) = event_loop().block_on(database(url, "storefront_tables"));
    let change = |statement: &str| {
        event_loop().block_on(async { client(&own).await.batch_execute(statement).await.unwrap() });
        refused(&host(&own))
    };
    let newer = change("insert into storefront.migration (number) values (999)");
    assert_eq!(newer.code, Code::DATABASE_NEWER);
    let missing = change("drop schema storefront cascade");
    assert_eq!(missing.code, Code::DATABASE_OUTDATED);
    assert!(missing.message.contains("schema storefront"), "{missing}");
    let runtime = change("drop schema tidemill cascade");
    assert!(runtime.message.contains("schema tidemill"), "{runtime}");
}
