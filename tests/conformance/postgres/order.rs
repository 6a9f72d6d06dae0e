//! Transactions that are held open on purpose, so that the ids of rows, the ids of transactions and the order of commits differ: none is
//! skipped, those of each key go out in the order of their commits, and nobody waits for others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tidemill_core::ports::{Broker, Clock as _};
use tidemill_core::record::TopicPartition;
use tidemill_postgres::tokio_postgres::{Client, Transaction};
use tidemill_postgres::{Outbox, Settings};
use tidemill_testkit::conformance::{Draft, Note, TOPICS};

use super::rows::client;
use super::{database, event_loop, memory, relay};
use crate::kafka::Wall;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
/// Programs that add at the same time, and transactions of each.
const WRITERS: u64 = 8;
const TRANSACTIONS: u64 = 30;

/// A program with an outbox and a row for each key.
struct Program {
    url: &'static str,
    schema: &'static str,
    outbox: Outbox,
    log: Arc<dyn Broker>,
    client: Client,
}

impl Program {
    async fn start(url: &'static str, schema: &'static str, database: &Settings) -> Self {
        let log: Arc<dyn Broker> = memory();
        log.topics().create(TOPICS[0], 1).await.unwrap();
        let mut outbox = Outbox::new(database, "/tests");
        outbox.declare::<Note<0>>().await.unwrap();
        let client = client(url).await;
        let tables = format!("create table {schema}.keys (key text primary key, count bigint not null)");
        client.batch_execute(&tables).await.unwrap();
        for key in KEYS {
            client.execute(&format!("insert into {schema}.keys values ($1, 0)"), &[&key]).await.unwrap();
        }
        Self { url, schema, outbox, log, client }
    }

    /// Locks what a key stands for. Answers how many rows it has now, and the id of the transaction.
    async fn lock(&self, transaction: &Transaction<'_>, key: &'static str) -> (i64, u64) {
        let text = format!(
            "update {}.keys set count = count + 1 where key = $1 returning count, pg_current_xact_id()::text",
            self.schema
        );
        let row = transaction.query_one(&text, &[&key]).await.unwrap();
        (row.get(0), row.get::<_, &str>(1).parse().unwrap())
    }

    /// Adds a row. Answers its id.
    async fn add(&self, transaction: &Transaction<'_>, key: &'static str, value: i64) -> i64 {
        let row = Draft { topic: 0, partition: None, key: Some(key), value: value.to_string() };
        self.outbox.add(transaction, Note::<0>::new(&row).publication()).await.unwrap();
        let last = format!("select currval(pg_get_serial_sequence('{}.outbox', 'id'))", self.schema);
        transaction.query_one(&last, &[]).await.unwrap().get(0)
    }

    /// What was sent, by key.
    async fn sent(&self) -> BTreeMap<String, Vec<i64>> {
        let place = TopicPartition::new(TOPICS[0], 0);
        let mut sent = BTreeMap::<String, Vec<i64>>::new();
        for record in self.log.topics().records(&place, 0, 10_000).await.unwrap().records {
            let text = |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            sent.entry(text(record.key)).or_default().push(text(record.value).parse().unwrap());
        }
        sent
    }

    async fn until_sent(&self, expected: &[(&str, &[i64])]) {
        let expected = expected.iter().map(|(key, values)| ((*key).to_owned(), values.to_vec())).collect();
        while self.sent().await != expected {
            Wall.sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_nothing_is_left(&self) {
        let left = format!("select count(*) from {}.outbox", self.schema);
        while self.client.query_one(&left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            Wall.sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What never ends by itself fails.
async fn in_time(check: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(1), check).await.expect("it waits for what does not come");
}

#[test]
fn a_transaction_that_commits_late_holds_nobody_up_and_is_not_skipped() {
    let Some(url) = devkit::postgres::for_tests("the order of rows") else { return };
    let database = database(url, "order_late");
    event_loop().block_on(async {
        let program = Program::start(url, "order_late", &database).await;
        let [mut other, mut first, mut second, mut third] =
            [client(url).await, client(url).await, client(url).await, client(url).await];
        let mut relay = relay(&program.log, &database, "order");
        let work = async {
            // One that has nothing to do with us, and is older than all others.
            let other = other.transaction().await.unwrap();
            other.query_one("select pg_current_xact_id()::text", &[]).await.unwrap();
            let late = first.transaction().await.unwrap();
            program.lock(&late, "a").await;
            let small = program.add(&late, "a", 1).await;
            // Its own id is the smaller one, and those of its rows are greater.
            let early = second.transaction().await.unwrap();
            program.lock(&early, "b").await;
            let between = third.transaction().await.unwrap();
            program.lock(&between, "c").await;
            program.add(&between, "c", 1).await;
            assert!(program.add(&early, "b", 1).await > small);
            program.add(&early, "b", 2).await;
            early.commit().await.unwrap();
            program.until_sent(&[("b", &[1, 2])]).await;
            between.commit().await.unwrap();
            program.until_sent(&[("b", &[1, 2]), ("c", &[1])]).await;
            // Whoever wants the key that is locked waits, and comes behind.
            let waits = second.transaction().await.unwrap();
            let behind = async {
                let (count, _) = program.lock(&waits, "a").await;
                program.add(&waits, "a", count).await;
            };
            let commit = async {
                Wall.sleep(Duration::from_millis(300)).await;
                program.until_sent(&[("b", &[1, 2]), ("c", &[1])]).await;
                late.commit().await.unwrap();
                program.until_sent(&[("a", &[1]), ("b", &[1, 2]), ("c", &[1])]).await;
            };
            join(behind, commit).await;
            waits.commit().await.unwrap();
            program.until_sent(&[("a", &[1, 2]), ("b", &[1, 2]), ("c", &[1])]).await;
            other.rollback().await.unwrap();
        };
        relay.run(in_time(work)).await.unwrap();
    });
}

/// A number that looks like chance.
fn noise(seed: u64) -> u64 {
    (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33
}

/// How many pairs of neighbours are the other way round.
fn turned<T: PartialOrd>(list: &[T]) -> usize {
    list.windows(2).filter(|pair| pair[0] > pair[1]).count()
}

#[test]
fn rows_of_each_key_go_out_as_their_transactions_commit() {
    let Some(url) = devkit::postgres::for_tests("the order of rows of many") else { return };
    let database = database(url, "order_many");
    event_loop().block_on(async {
        let program = Program::start(url, "order_many", &database).await;
        // What committed, in the order of that: the transaction's id and its row's.
        let committed = RefCell::new(Vec::new());
        let writer = async |writer: u64| {
            let mut client = client(program.url).await;
            for number in 0..TRANSACTIONS {
                let chance = noise(writer * TRANSACTIONS + number);
                let pause = |shift: u32| Wall.sleep(Duration::from_millis((chance >> shift) % 8));
                let transaction = client.transaction().await.unwrap();
                let (count, transaction_id) =
                    program.lock(&transaction, KEYS[usize::try_from(chance % 4).unwrap()]).await;
                pause(2).await;
                let id = program.add(&transaction, KEYS[usize::try_from(chance % 4).unwrap()], count).await;
                pause(5).await;
                if (chance >> 8).is_multiple_of(8) {
                    transaction.rollback().await.unwrap();
                } else {
                    transaction.commit().await.unwrap();
                    committed.borrow_mut().push((transaction_id, id));
                }
            }
        };
        let mut relay = relay(&program.log, &database, "order");
        let work = async {
            join_all((0..WRITERS).map(writer)).await;
            program.until_nothing_is_left().await;
        };
        relay.run(in_time(work)).await.unwrap();
        let (committed, sent) = (committed.into_inner(), program.sent().await);
        assert_eq!(sent.values().map(Vec::len).sum::<usize>(), committed.len(), "each once");
        for (key, values) in sent {
            // The count is that of the row that each of them had locked.
            let expected: Vec<i64> = (1..).take(values.len()).collect();
            assert_eq!(values, expected, "{key}");
        }
        let (transactions, ids): (Vec<_>, Vec<_>) = committed.iter().copied().unzip();
        let mut by_transaction = committed.clone();
        by_transaction.sort_unstable();
        let by_transaction: Vec<_> = by_transaction.iter().map(|(_, id)| id).collect();
        assert!(
            turned(&transactions) > 10 && turned(&ids) > 10 && turned(&by_transaction) > 10,
            "it was put to the test"
        );
    });
}
