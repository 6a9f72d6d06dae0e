//! A service whose handler works with SQL: rows, state and events commit together, wherever its process ends, what other transactions
//! were in the way of costs no attempt, and copies have no effects and are counted.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::query::Query;
use tidemill_core::ports::{Broker, NoObserver};
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::record::TopicPartition;
use tidemill_core::service::{HandlerBuilder, Service as Built};
use tidemill_core::time::Timestamp;
use tidemill_core::worker::Ports;
use tidemill_postgres::tokio_postgres::Client;
use tidemill_postgres::{Postgres, SqlContext};
use tidemill_testkit::fakes::{Inline, Seeded, work};

use super::rows::client;
use super::{database, event_loop, memory, relay};
use crate::kafka::Wall;

const SCHEMA: &str = "handler_sql";
const SERVICE: &str = "stock";
const KEYS: u64 = 7;
const ORDERS: u64 = 300;
/// Each comes again behind so many others, but the last of them and the one that is broken.
const BEHIND: u64 = 20;
/// After so many more of them, the process ends.
const STEP: i64 = 60;
/// Of this order the database says once that another transaction was in the way.
const DISTURBED: u64 = 5;
/// The handler of this order ends the transaction, which it should not.
const OUTSIDE: u64 = 17;
/// This one breaks a constraint.
const BROKEN: u64 = 11;
const COUNT: Cell<u64> = Cell::named("count");

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.order", version = 1, topic = "orders", key = key, codec = json)]
struct Order {
    key: String,
    number: u64,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.booked", version = 1, topic = "booked", key = key, codec = json)]
struct Booked {
    key: String,
    number: u64,
    count: u64,
}

struct Book(AtomicBool);

#[async_trait(?Send)]
impl Handler<Order> for Book {
    async fn handle(&self, order: &Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let (number, attempt) = (i64::try_from(order.number)?, i64::from(cx.attempt()));
        let mut sql = cx.sql()?;
        let insert = "insert into handler_sql.bookings (number, key, attempt) values ($1, $2, $3)";
        if order.number == OUTSIDE {
            sql.execute("rollback", &[]).await?;
            sql.execute(insert, &[&number, &order.key, &attempt]).await.expect_err("outside of a transaction");
            sql.execute("begin read write", &[]).await?;
        }
        sql.execute(insert, &[&number, &order.key, &attempt]).await?;
        if order.number == DISTURBED && !self.0.swap(true, Ordering::SeqCst) {
            sql.execute("select handler_sql.disturb()", &[]).await?;
        }
        let count = cx.get(COUNT).await?.unwrap_or(0) + 1;
        cx.set(COUNT, count);
        cx.emit(Booked { key: order.key.clone(), number: order.number, count });
        Ok(())
    }
}

fn service() -> Arc<Built> {
    let builder = Service::builder(SERVICE).handler("book", Book(AtomicBool::new(false)), HandlerBuilder::on::<Order>);
    Arc::new(builder.emits::<Booked>().build().unwrap())
}

pub(super) fn ports() -> Ports {
    Ports {
        clock: Arc::new(Wall),
        random: Rc::new(Seeded::new(1)),
        blocking: Arc::new(Inline),
        schemas: None,
        observer: Arc::new(NoObserver),
        heartbeat: Arc::default(),
    }
}

async fn prepare(log: &Arc<dyn Broker>, client: &Client) {
    let service = service();
    for (topic, partitions) in service.own_topics() {
        log.topics().create(topic, partitions.unwrap_or(2)).await.unwrap();
    }
    for topic in [Order::TOPIC, Booked::TOPIC] {
        log.topics().create(topic, 2).await.unwrap();
    }
    let tables = "create table handler_sql.bookings (
            number bigint not null check (number <> 11), key text not null, attempt bigint not null);
        create function handler_sql.disturb() returns void language plpgsql as $$
            begin raise exception 'in the way' using errcode = '40001'; end $$";
    client.batch_execute(tables).await.unwrap();
    let mut publisher = Publisher::new(Arc::clone(log), "/tests");
    publisher.declare::<Order>().await.unwrap();
    let again = |number: u64| number.checked_sub(BEHIND).filter(|before| *before != BROKEN);
    for number in (0..ORDERS).flat_map(|number| std::iter::once(number).chain(again(number))) {
        let event = Order { key: format!("key-{}", number % KEYS), number };
        let (id, time) = (number.to_string(), Timestamp::from_millis(1));
        publisher.publish(Publication { event: &event, id: &id, time }).unwrap();
    }
    publisher.flush().await.unwrap();
}

/// The bookings that were sent, in the order of the log, and how many letters were.
async fn sent(log: &Arc<dyn Broker>) -> (Vec<Booked>, usize) {
    let (mut booked, mut letters) = (Vec::new(), 0);
    for partition in 0..2 {
        let place = TopicPartition::new(Booked::TOPIC, partition);
        for record in log.topics().records(&place, 0, 10_000).await.unwrap().records {
            booked.push(serde_json::from_slice(&record.value.unwrap()).unwrap());
        }
        let place = TopicPartition::new(format!("{SERVICE}.dead-letters"), partition);
        letters += log.topics().records(&place, 0, 10_000).await.unwrap().records.len();
    }
    (booked, letters)
}

#[test]
fn rows_state_and_events_commit_together_wherever_it_ends() {
    let Some(url) = devkit::postgres::for_tests("handlers with SQL") else { return };
    let database = database(url, SCHEMA);
    event_loop().block_on(async {
        let log: Arc<dyn Broker> = memory();
        let client = client(url).await;
        prepare(&log, &client).await;
        let broker = Postgres::beside(Arc::clone(&log), database.clone(), Arc::new(Wall));
        let inputs = [Order::TOPIC.into()];
        let service = service();
        let is_done = async || broker.lag(SERVICE, &inputs).await.unwrap().iter().all(|lag| lag.records == 0);
        let mut lives = 0;
        while !is_done().await {
            lives += 1;
            let broker: Arc<dyn Broker> = Arc::<Postgres>::clone(&broker);
            // It ends in the middle of what it does.
            let over = async {
                let booked = "select count(*) from handler_sql.bookings";
                while client.query_one(booked, &[]).await.unwrap().get::<_, i64>(0) < STEP * lives && !is_done().await {
                    tokio::task::yield_now().await;
                }
            };
            let life = work(Arc::clone(&service), format!("{lives}").into(), broker, ports(), std::future::pending());
            if let Either::Left((ended, _)) = select(std::pin::pin!(life), std::pin::pin!(over)).await {
                panic!("it ended by itself: {ended:?}");
            }
        }
        let mut relay = relay(&log, &database, "handler");
        let left = "select count(*) from handler_sql.outbox";
        let all_gone = async {
            while client.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                tokio::task::yield_now().await;
            }
        };
        relay.run(all_gone).await.unwrap();
        let rows = client.query("select number, attempt from handler_sql.bookings order by number", &[]).await.unwrap();
        let numbers: Vec<u64> = rows.iter().map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap()).collect();
        let expected: Vec<u64> = (0..ORDERS).filter(|number| *number != BROKEN).collect();
        assert_eq!(numbers, expected, "each once");
        assert!(rows.iter().all(|row| row.get::<_, i64>(1) == 1), "no attempt was spent");
        let (booked, letters) = sent(&log).await;
        assert_eq!(letters, 1);
        let all: BTreeSet<u64> = booked.iter().map(|booked| booked.number).collect();
        assert_eq!((booked.len(), all.len()), (numbers.len(), numbers.len()), "each event once");
        for key in 0..KEYS {
            let of_key: Vec<&Booked> = booked.iter().filter(|booked| booked.number % KEYS == key).collect();
            assert!(of_key.is_sorted_by_key(|booked| booked.number), "in order");
            assert!((1..).zip(&of_key).all(|(count, booked)| booked.count == count), "state is that of the rows");
        }
        assert!(lives > 1, "it ended at least once");
        let copies = Query::new(broker, SERVICE).copies_suppressed().await.unwrap();
        assert_eq!(copies.get("book"), Some(&(ORDERS - BEHIND - 1)), "each once: {copies:?}");
    });
}
