//! What lies in state is read with SQL: sagas, timers, cells and maps as the runtime wrote them, and values of every form.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidemill::prelude::*;
use tidemill::saga::{Begin, Compensation, Leads, Missing, Next, State, Step, Undo};
use tidemill_core::ports::Broker;
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::service::Service as Built;
use tidemill_core::state::encode;
use tidemill_core::time::Timestamp;
use tidemill_postgres::Postgres;
use tidemill_postgres::tokio_postgres::Client;
use tidemill_testkit::fakes::work;

use super::handler::ports;
use super::rows::client;
use super::{database, event_loop, memory};
use crate::kafka::Wall;

const SCHEMA: &str = "readable";
const SERVICE: &str = "shop";
const TOTAL: Cell<Total> = Cell::named("total");
const BY_YEAR: Map<i32, i64> = Map::named("by-year");
/// A byte that begins nothing in `MessagePack`.
const NEVER_USED: u8 = 0xc1;

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.placed", version = 1, topic = "placed", key = order, codec = json)]
struct Placed {
    order: String,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.paid", version = 1, topic = "placed", key = order, codec = json)]
struct Paid {
    order: String,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.overdue", version = 1, codec = json)]
struct Overdue {}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.sold", version = 1, topic = "sold", key = product, codec = json)]
struct Sold {
    product: String,
    pieces: i64,
}

#[derive(Serialize, Deserialize)]
struct Paying {
    order: String,
    amount_milli: i64,
}

impl State for Paying {
    const NAME: &'static str = "paying";
}

#[derive(Serialize, Deserialize)]
struct ReleaseStock {
    pieces: i64,
}

impl Compensation for ReleaseStock {
    const NAME: &'static str = "release-stock";
}

struct Checkout;

#[async_trait(?Send)]
impl Begin<Placed> for Checkout {
    async fn begin(&self, placed: &Placed, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.schedule("overdue", Duration::from_mins(15), Overdue {}).await?;
        let paying = Paying { order: placed.order.clone(), amount_milli: 1_250 };
        Ok(Next::to(paying).undo_with(ReleaseStock { pieces: 3 }))
    }
}

#[async_trait(?Send)]
impl Step<Paying, Paid> for Checkout {
    async fn step(&self, _: Paying, _: &Paid, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::end("confirmed"))
    }
}

#[async_trait(?Send)]
impl Undo<ReleaseStock> for Checkout {
    async fn undo(&self, _: ReleaseStock, _: &mut Context<'_>) -> Result<(), HandlerError> {
        Ok(())
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Total {
    lines: u64,
    pieces: i64,
    last: Option<String>,
}

struct Tally;

#[async_trait(?Send)]
impl Handler<Sold> for Tally {
    async fn handle(&self, sold: &Sold, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let before = cx.get(TOTAL).await?.unwrap_or_default();
        let pieces = before.pieces + sold.pieces;
        cx.set(TOTAL, Total { lines: before.lines + 1, pieces, last: cx.metadata().id().map(str::to_owned) });
        cx.map(BY_YEAR).insert(&2011, &pieces);
        Ok(())
    }
}

fn service() -> Arc<Built> {
    let builder = Service::builder(SERVICE).handler("tally", Tally, HandlerBuilder::on::<Sold>);
    let builder = builder.saga("checkout", Checkout, |saga| {
        saga.begins_with::<Placed>([Leads::to::<Paying>()])
            .state::<Paying>(|state| state.ignore::<Placed>().on::<Paid>([Leads::end("confirmed")]).ignore::<Overdue>())
            .missing::<Paid>(Missing::DeadLetter)
            .missing::<Overdue>(Missing::DeadLetter)
            .undo::<ReleaseStock>()
    });
    Arc::new(builder.build().unwrap())
}

async fn publish(log: &Arc<dyn Broker>) {
    let mut publisher = Publisher::new(Arc::clone(log), "/tests");
    publisher.declare::<Placed>().await.unwrap();
    publisher.declare::<Paid>().await.unwrap();
    publisher.declare::<Sold>().await.unwrap();
    let time = Timestamp::from_millis(1);
    for order in ["a", "b"] {
        let event = Placed { order: order.to_owned() };
        publisher.publish(Publication { event: &event, id: &format!("placed-{order}"), time }).unwrap();
    }
    publisher.publish(Publication { event: &Paid { order: "b".to_owned() }, id: "paid-b", time }).unwrap();
    for (pieces, id) in [(2, "sold-1"), (3, "sold-2")] {
        let event = Sold { product: "tea".to_owned(), pieces };
        publisher.publish(Publication { event: &event, id, time }).unwrap();
    }
    publisher.flush().await.unwrap();
}

/// Lets a service do all that is published.
fn fill(url: &str) {
    let database = database(url, SCHEMA);
    event_loop().block_on(async {
        let (log, service): (Arc<dyn Broker>, _) = (memory(), service());
        for (topic, partitions) in service.own_topics() {
            log.topics().create(topic, partitions.unwrap_or(1)).await.unwrap();
        }
        for topic in [Placed::TOPIC, Sold::TOPIC] {
            log.topics().create(topic, 1).await.unwrap();
        }
        publish(&log).await;
        let broker: Arc<dyn Broker> = Postgres::beside(log, database, Arc::new(Wall));
        let client = client(url).await;
        let done = "select (select count(*) from readable.saga where key = 'a' or outcome = 'confirmed') = 2
            and exists (select from readable.readable_state where handler = 'tally' and value -> 'lines' = '2')";
        let is_done = async {
            while !client.query_one(done, &[]).await.unwrap().get::<_, bool>(0) {
                tokio::task::yield_now().await;
            }
        };
        let life = work(service, "only".into(), broker, ports(), std::future::pending());
        if let Either::Left((ended, _)) = select(std::pin::pin!(life), std::pin::pin!(is_done)).await {
            panic!("it ended by itself: {ended:?}");
        }
    });
}

/// What a query answers, each row as JSON.
async fn answer(client: &Client, query: &str) -> Vec<Value> {
    let rows = client.query(&format!("select to_jsonb(found)::text from ({query}) as found"), &[]).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect()
}

#[test]
fn what_the_runtime_wrote_is_read_with_sql() {
    let Some(url) = devkit::postgres::for_tests("reading state with SQL") else { return };
    fill(url);
    event_loop().block_on(async {
        let client = client(url).await;
        let answer = async |query| answer(&client, query).await;
        let running = "select service, shard, saga, status, outcome, state, state_data, reason, to_undo, undone
            from readable.saga where key = 'a'";
        let expected = json!({
            "service": "shop", "shard": 0, "saga": "checkout", "status": "running", "outcome": null,
            "state": "paying", "state_data": {"order": "a", "amount_milli": 1_250}, "reason": null,
            "to_undo": [{"name": "release-stock", "data": {"pieces": 3}}], "undone": [],
        });
        assert_eq!(answer(running).await, [expected]);
        let ended = "select key, status, history -> 0 ->> 'event' as first, history -> -1 ->> 'id' as last,
                began <= changed and changed between now() - interval '1 hour' and now() as is_recent
            from readable.saga where outcome = 'confirmed'";
        let expected =
            json!({"key": "b", "status": "ended", "first": "tests.placed", "last": "paid-b", "is_recent": true});
        assert_eq!(answer(ended).await, [expected]);
        let timers =
            "select service, shard, handler, key, name, type, due - scheduled = interval '15 minutes' as is_due
            from readable.timer where key = 'a'";
        let expected = json!({
            "service": "shop", "shard": 0, "handler": "checkout", "key": "a", "name": "overdue",
            "type": "tests.overdue", "is_due": true,
        });
        assert_eq!(answer(timers).await, [expected]);
        let state = "select key, name, entry, value from readable.readable_state where handler = 'tally' order by name";
        let expected = [
            // The bytes of 2011, with its sign flipped.
            json!({"key": "tea", "name": "by-year", "entry": "\\x800007db", "value": 5}),
            json!({"key": "tea", "name": "total", "entry": null, "value": {"lines": 2, "pieces": 5, "last": "sold-2"}}),
        ];
        assert_eq!(answer(state).await, expected);
        let handlers = "select distinct handler from readable.readable_state order by handler";
        assert_eq!(answer(handlers).await, [json!({"handler": "checkout"}), json!({"handler": "tally"})]);
        // What cannot be read hides nothing else: the saga of key `a`, and the timer that is due first.
        let damage = "update readable.state set value = '\\x01c1' where key in (
            '\\x08' || 'checkout'::bytea || '\\x0161000d' || 'tidemill.saga'::bytea,
            (select key from readable.state where key >= '\\x077e74696d657273000103647565' order by key limit 1))";
        assert_eq!(client.execute(damage, &[]).await.unwrap(), 2);
        let sagas = "select count(*), count(state) as known from readable.saga";
        assert_eq!(answer(sagas).await, [json!({"count": 2, "known": 1})]);
        let timers = "select count(*) - count(handler) as unknown from readable.timer";
        assert_eq!(answer(timers).await, [json!({"unknown": 1})]);
    });
}

#[derive(Serialize)]
enum Outcome {
    Open,
    Closed(u8),
}

/// One of each.
#[derive(Serialize)]
struct Everything {
    nothing: Option<u8>,
    is_so: bool,
    numbers: (i8, i16, i64, u32, u64),
    fractions: (f32, f64, f64),
    text: &'static str,
    no_char: char,
    outcomes: [Outcome; 2],
    by_number: BTreeMap<i16, u8>,
    by_both: BTreeMap<(u8, &'static str), bool>,
}

fn everything() -> (Vec<u8>, Value) {
    let value = Everything {
        nothing: None,
        is_so: true,
        numbers: (-1, -300, i64::MIN, u32::MAX, u64::MAX),
        fractions: (0.1, -0.0015, f64::NEG_INFINITY),
        text: "a \"quoted\"\n€",
        no_char: '\0',
        outcomes: [Outcome::Open, Outcome::Closed(7)],
        by_number: BTreeMap::from([(-129, 3)]),
        by_both: BTreeMap::from([((1, "x"), true)]),
    };
    let expected = json!({
        "nothing": null, "is_so": true, "numbers": [-1, -300, i64::MIN, u32::MAX, u64::MAX],
        "fractions": [0.1, -0.0015, "-Infinity"], "text": "a \"quoted\"\n€", "no_char": "\u{2400}",
        "outcomes": ["Open", {"Closed": 7}], "by_number": {"-129": 3}, "by_both": {"[1,\"x\"]": true},
    });
    (encode(&value).unwrap(), expected)
}

/// A list in a list, so often.
fn nested(depth: usize) -> Vec<u8> {
    const LIST_OF_ONE: u8 = 0x91;
    [vec![1], vec![LIST_OF_ONE; depth], vec![5]].concat()
}

#[test]
fn values_of_every_form_are_read_and_others_are_null() {
    let Some(url) = devkit::postgres::for_tests("reading values with SQL") else { return };
    let _ = database(url, "readable_values");
    let (whole, expected) = everything();
    let readable = [
        (whole.clone(), expected),
        (vec![1, 0xc0], Value::Null),
        (vec![1, 0xc4, 2, b'h', b'i'], json!("hi")),
        // Bytes that are no text: a control character, half a character, and what UTF-8 has no second form for.
        (vec![1, 0xc4, 2, b'h', b'\n'], json!("\\x680a")),
        (vec![1, 0xc4, 1, 0xc3], json!("\\xc3")),
        (vec![1, 0xc4, 2, 0xc0, 0x80], json!("\\xc080")),
        (vec![1, 0xd5, 9, 0xff, 0xfe], json!("\\xfffe")),
        (nested(64), (0..64).fold(json!(5), |inner, _| json!([inner]))),
    ];
    let beginnings = (0..whole.len()).map(|length| whole[..length].to_vec());
    let unreadable = beginnings.chain([nested(65), vec![2, 5], vec![1, 5, 5], vec![1, NEVER_USED]]);
    event_loop().block_on(async {
        let client = client(url).await;
        let read = async |value: Vec<u8>| {
            let row = client.query_one("select readable_values.read_value($1)::text", &[&value]).await.unwrap();
            row.get::<_, Option<String>>(0).map(|text| serde_json::from_str::<Value>(&text).unwrap())
        };
        for (value, expected) in readable {
            assert_eq!(read(value.clone()).await, Some(expected), "{value:02x?}");
        }
        for value in unreadable {
            assert_eq!(read(value.clone()).await, None, "{value:02x?}");
        }
    });
}
