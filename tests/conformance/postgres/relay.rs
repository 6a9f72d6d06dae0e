//! The relay sends each row once and none out of the order of its key, wherever it ends.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use tidemill_core::code::Coded;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Answer, Broker, Entry, KeyRange, Lag, Member, Sender, Subscription, Topics};
use tidemill_core::record::TopicPartition;
use tidemill_core::relay::Relay;
use tidemill_embedded::Embedded;
use tidemill_postgres::Settings;
use tidemill_postgres::tokio_postgres::{Client, NoTls, connect};

use tokio::task::yield_now;

use super::{database, event_loop, memory, relay};

const TOPIC: &str = "out";

/// A log whose senders let others go on before and after each thing they do: a relay can end there.
struct Yielding(Arc<Embedded>);

struct YieldingSender(Box<dyn Sender>);

#[async_trait]
impl Sender for YieldingSender {
    async fn take(&mut self) -> Result<Option<Bytes>, Coded> {
        yield_now().await;
        let taken = self.0.take().await;
        yield_now().await;
        taken
    }

    async fn send(&mut self, outputs: Outputs, receipt: Bytes) -> Answer {
        yield_now().await;
        let answer = self.0.send(outputs, receipt).await;
        yield_now().await;
        answer
    }
}

#[async_trait]
impl Broker for Yielding {
    fn join(&self, subscription: Subscription) -> Result<Member, Coded> {
        self.0.join(subscription)
    }

    fn topics(&self) -> Arc<dyn Topics> {
        self.0.topics()
    }

    async fn publish(&self, outputs: Outputs) -> Result<(), Coded> {
        self.0.publish(outputs).await
    }

    fn sender(&self, name: &str) -> Result<Box<dyn Sender>, Coded> {
        Ok(Box::new(YieldingSender(self.0.sender(name)?)))
    }

    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        self.0.lag(group, topics).await
    }

    async fn shards(&self, group: &str) -> Result<u32, Coded> {
        self.0.shards(group).await
    }

    async fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        self.0.state(group, shard, range, limit).await
    }
}

/// A client of the test's own.
async fn client(url: &str) -> Client {
    let (client, connection) = connect(url, NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// Adds rows with these keys; the value of each is its number.
async fn add(client: &Client, schema: &str, keys: &[&str], from: u64) {
    for (number, key) in (from..).zip(keys) {
        let text = format!("insert into {schema}.outbox (topic, at, key, headers, value) values ($1, 0, $2, '', $3)");
        let value = number.to_string();
        client.execute(&text, &[&TOPIC, &key.as_bytes(), &value.as_bytes()]).await.unwrap();
    }
}

async fn left(client: &Client, schema: &str) -> i64 {
    client.query_one(&format!("select count(*) from {schema}.outbox"), &[]).await.unwrap().get(0)
}

/// The numbers in the log, by key.
async fn sent(log: &Arc<Embedded>) -> BTreeMap<String, Vec<u64>> {
    let place = TopicPartition::new(TOPIC, 0);
    let text = |bytes: Option<Bytes>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    let mut sent = BTreeMap::<String, Vec<u64>>::new();
    for record in log.topics().records(&place, 0, 100_000).await.unwrap().records {
        sent.entry(text(record.key)).or_default().push(text(record.value).parse().unwrap());
    }
    sent
}

/// Runs a relay until `done`, or until it was polled so often. Tells whether it was done.
async fn run(relay: &mut Relay, polls: usize, mut done: impl AsyncFnMut() -> bool) -> bool {
    let mut running = pin!(relay.run(std::future::pending()));
    let mut count = 0;
    loop {
        let turned = poll_fn(|cx| {
            count += 1;
            let polled = running.as_mut().poll(cx);
            assert!(polled.is_pending(), "{polled:?}");
            // Polled again as soon as it has something to do, or the test.
            Poll::Ready(())
        });
        turned.await;
        if count >= polls {
            return false;
        }
        if done().await {
            return true;
        }
    }
}

#[test]
fn a_relay_that_ends_anywhere_leaves_the_rest_to_the_next() {
    let Some(url) = devkit::postgres::for_tests("the relay") else { return };
    let schema = "relay_ends";
    let (database, log): (Settings, _) = (database(url, schema), memory());
    event_loop().block_on(async {
        let client = client(url).await;
        log.topics().create(TOPIC, 1).await.unwrap();
        let yielding: Arc<dyn Broker> = Arc::new(Yielding(Arc::clone(&log)));
        let (mut next, mut whole) = (0, 0);
        // Until it came to its end by itself several times.
        for polls in 1.. {
            add(&client, schema, &["a", "b", "a", "a", "b"], next).await;
            next += 5;
            let mut first = relay(&yielding, &database, "first");
            let was_done = run(&mut first, polls, async || left(&client, schema).await == 0).await;
            drop(first);
            let mut second = relay(&yielding, &database, "first");
            assert!(run(&mut second, usize::MAX, async || left(&client, schema).await == 0).await);
            whole += usize::from(was_done);
            if whole == 3 {
                break;
            }
        }
        let sent = sent(&log).await;
        let expected = |places: &[u64]| -> Vec<u64> {
            (0..next / 5).flat_map(|round| places.iter().map(move |place| round * 5 + place)).collect()
        };
        assert_eq!(sent["a"], expected(&[0, 2, 3]));
        assert_eq!(sent["b"], expected(&[1, 4]));
    });
}
