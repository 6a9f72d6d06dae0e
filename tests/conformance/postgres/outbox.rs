//! An event that a program puts into the outbox is sent if and only if its transaction commits, in the order of its key.

use std::sync::Arc;

use super::rows::client;
use super::{database, event_loop, memory, relay};
use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill_core::ports::Broker;
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::time::Timestamp;
use tidemill_postgres::Outbox;

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.placed", version = 1, topic = "placed", key = order, codec = json)]
struct Placed {
    order: String,
    number: u64,
}

fn placed(order: &str, number: u64) -> Placed {
    Placed { order: order.to_owned(), number }
}

fn publication<'a>(event: &'a Placed, id: &'a str) -> Publication<'a, Placed> {
    Publication { event, id, time: Timestamp::from_millis(7) }
}

async fn sent(log: &Arc<dyn Broker>, topic: &str) -> Vec<Record> {
    let mut sent = Vec::new();
    for partition in 0..2 {
        let place = TopicPartition::new(topic, partition);
        sent.extend(log.topics().records(&place, 0, 100).await.unwrap().records);
    }
    sent
}

#[test]
fn an_event_goes_out_with_the_rows_it_tells_of() {
    let Some(url) = devkit::postgres::for_tests("the outbox of programs") else { return };
    let database = database(url, "outbox_of_programs");
    event_loop().block_on(async {
        let log: Arc<dyn Broker> = memory();
        log.topics().create(Placed::TOPIC, 2).await.unwrap();
        let mut client = client(url).await;
        let orders = "create table outbox_of_programs.orders (id text primary key, total bigint not null)";
        client.batch_execute(orders).await.unwrap();
        let mut outbox = Outbox::new(&database, "/tests/storefront");
        outbox.declare::<Placed>().await.unwrap();
        for (order, numbers, commits) in [("a", 0..3, true), ("b", 3..4, false), ("c", 4..6, true)] {
            let transaction = client.transaction().await.unwrap();
            let insert = "insert into outbox_of_programs.orders values ($1, 1)";
            transaction.execute(insert, &[&order]).await.unwrap();
            for number in numbers {
                let event = placed(order, number);
                outbox.add(&transaction, publication(&event, &number.to_string())).await.unwrap();
            }
            if commits {
                transaction.commit().await.unwrap();
            }
        }
        let mut relay = relay(&log, &database, "program");
        let left = "select count(*) from outbox_of_programs.outbox";
        let all_gone = async {
            while client.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                tokio::task::yield_now().await;
            }
        };
        relay.run(all_gone).await.unwrap();
        // What a publisher would have sent, without the order that was not placed.
        let twin: Arc<dyn Broker> = memory();
        twin.topics().create(Placed::TOPIC, 2).await.unwrap();
        let mut publisher = Publisher::new(Arc::clone(&twin), "/tests/storefront");
        publisher.declare::<Placed>().await.unwrap();
        for (order, number) in [("a", 0), ("a", 1), ("a", 2), ("c", 4), ("c", 5)] {
            let event = placed(order, number);
            publisher.publish(publication(&event, &number.to_string())).unwrap();
        }
        publisher.flush().await.unwrap();
        assert_eq!(sent(&log, Placed::TOPIC).await, sent(&twin, Placed::TOPIC).await);
        let rows = client.query_one("select count(*) from outbox_of_programs.orders", &[]).await.unwrap();
        assert_eq!(rows.get::<_, i64>(0), 2);
    });
}

#[test]
fn what_the_log_does_not_take_is_parked_and_others_go_on() {
    let Some(url) = devkit::postgres::for_tests("rows that are parked") else { return };
    let database = database(url, "outbox_parked");
    event_loop().block_on(async {
        let log: Arc<dyn Broker> = memory();
        log.topics().create("there", 2).await.unwrap();
        let client = client(url).await;
        let add = "insert into outbox_parked.outbox (topic, partition, at, key, headers, value) values ($1, $2, 0, $3, '', $4)";
        // The second and the third go nowhere, and the fourth waits behind the third.
        let rows = [("there", None, "a", "1"), ("nowhere", None, "a", "2"), ("there", Some(9), "b", "3"), ("there", None, "b", "4")];
        for (topic, partition, key, value) in rows {
            client.execute(add, &[&topic, &partition, &key.as_bytes(), &value.as_bytes()]).await.unwrap();
        }
        for (key, value) in [("a", "5"), ("c", "6")] {
            client.execute(add, &[&"there", &None::<i32>, &key.as_bytes(), &value.as_bytes()]).await.unwrap();
        }
        let mut relay = relay(&log, &database, "parked");
        let parked = "select count(*) from outbox_parked.outbox where parked is not null";
        let settled = async {
            while client.query_one(parked, &[]).await.unwrap().get::<_, i64>(0) < 2 {
                tokio::task::yield_now().await;
            }
        };
        relay.run(settled).await.unwrap();
        let mut values: Vec<String> = sent(&log, "there")
            .await
            .into_iter()
            .map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap())
            .collect();
        values.sort();
        assert_eq!(values, ["1", "5", "6"]);
        let parked = "select convert_from(value, 'UTF8'), parked from outbox_parked.outbox order by id";
        let rows = client.query(parked, &[]).await.unwrap();
        let parked: Vec<(String, Option<String>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let (first, second) = ("topic nowhere does not exist", "topic there has no partition 9");
        let expected = [("2", Some(first)), ("3", Some(second)), ("4", None)];
        let expected = expected.map(|(value, why)| (value.to_owned(), why.map(str::to_owned)));
        assert_eq!(parked, expected);
    });
}
