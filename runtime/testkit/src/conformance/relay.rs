//! What holds for a relay between any outbox and any log: each row is sent once and in the order of its key, whoever ends where.

mod watched;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::ports::{Broker, Clock, Lease, NoObserver};
use tidemill_core::record::TopicPartition;
use tidemill_core::relay::Relay;

use super::outbox::{Draft, Outboxes, TOPICS};
pub use watched::{Fate, Watch, WatchedLog, WatchedOutbox};

/// What the relay publishes under.
const NAME: &str = "rows.relay";
/// Keys of the rows that are added each time.
const KEYS: [&str; 5] = ["a", "b", "a", "a", "b"];
/// Partitions of each topic.
const PARTITIONS: u32 = 2;
/// How long the relay may be silent.
pub const LEASE: Duration = Duration::from_secs(2);

/// How long one relay may take for what there is.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// After each relay that ends, one finishes what it left; answers are lost wherever it ends.
    Full,
    /// The next relay ends too, at the next point; answers are lost where nothing else happens.
    Little,
}

/// An outbox, and the log that its rows go to.
pub struct Between<'a> {
    /// The outbox.
    pub rows: &'a dyn Outboxes,
    /// The log. Nobody else uses it.
    pub log: Arc<dyn Broker>,
    /// What time is.
    pub clock: Arc<dyn Clock>,
}

impl Between<'_> {
    /// Makes the topics.
    pub async fn prepare(&self) {
        for topic in TOPICS {
            self.log.topics().create(topic, PARTITIONS).await.expect("it can be created");
        }
        if let Some(own) = self.log.sender_topic(NAME) {
            self.log.create_own(&own.name, &[], own.partitions.unwrap_or(1)).await.expect("it can be created");
        }
    }

    /// Adds rows of some keys; their values are numbers from this one on.
    pub async fn add(&self, from: usize) {
        let row =
            |(number, key): (usize, _)| Draft { topic: 0, partition: None, key: Some(key), value: number.to_string() };
        let rows: Vec<_> = (from..).zip(KEYS).map(row).collect();
        self.rows.transact(&rows, true, Box::pin(std::future::ready(()))).await;
    }

    /// A relay that is watched.
    pub fn relay(&self, watch: &Arc<Watch>, holder: &str) -> Relay {
        let lease = Lease { name: NAME.into(), holder: holder.into(), time: LEASE };
        let outbox = Box::new(WatchedOutbox(self.rows.outbox(), Arc::clone(watch)));
        let log: Arc<dyn Broker> = Arc::new(WatchedLog(Arc::clone(&self.log), Arc::clone(watch)));
        Relay::new(&log, outbox, lease, Arc::clone(&self.clock), Arc::new(NoObserver)).expect("the log has senders")
    }

    /// Runs a relay until it ends as the watch says, or has found nothing so often; then its process ends.
    pub async fn run(&self, watch: &Arc<Watch>, looks: usize) {
        // The same holder: what waits for a lease is proved elsewhere.
        let mut relay = self.relay(watch, "relay");
        let mut running = pin!(relay.run(std::future::pending()));
        let mut over = self.clock.sleep(PATIENCE);
        poll_fn(|cx| {
            assert!(over.as_mut().poll(cx).is_pending(), "it does not come to an end");
            let polled = running.as_mut().poll(cx);
            assert!(polled.is_pending(), "{polled:?}");
            if watch.is_ended() || watch.looks_at_nothing() >= looks { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// What the first topic holds, by key, where values are numbers.
    pub async fn sent(&self) -> BTreeMap<String, Vec<usize>> {
        let text = |bytes: Option<Bytes>| String::from_utf8(bytes.expect("it is there").to_vec()).expect("text");
        let mut sent = BTreeMap::<String, Vec<usize>>::new();
        for partition in 0..PARTITIONS {
            let place = TopicPartition::new(TOPICS[0], partition);
            let (mut from, end) = self.log.topics().offsets(&place).await.expect("it is there");
            while from < end {
                let batch = self.log.topics().records(&place, from, 1_000).await.expect("it can be read");
                for record in batch.records {
                    sent.entry(text(record.key)).or_default().push(text(record.value).parse().expect("a number"));
                }
                if batch.next <= from {
                    self.clock.sleep(Duration::from_millis(50)).await;
                }
                from = batch.next.max(from);
            }
        }
        sent
    }

    /// Ends a relay at every point of its work, each time a later one, and lets the next one go on where it ended; the first publishes of
    /// those that end have these fates. Answers how many rows were added.
    pub async fn ends_everywhere(&self, fates: &[Fate], from: usize, effort: Effort) -> usize {
        let mut added = from;
        for end in 1.. {
            self.add(added).await;
            added += KEYS.len();
            let watch = Watch::new(Some(end), fates.iter().copied());
            self.run(&watch, 2).await;
            if effort == Effort::Full {
                self.run(&Watch::new(None, []), 1).await;
            }
            if !watch.is_ended() {
                break;
            }
        }
        added
    }
}

/// What has to be in the log when so many rows were added, by key.
pub fn each_once(added: usize) -> BTreeMap<String, Vec<usize>> {
    let mut expected = BTreeMap::<String, Vec<usize>>::new();
    for number in 0..added {
        expected.entry(KEYS[number % KEYS.len()].to_owned()).or_default().push(number);
    }
    expected
}

/// Ends relays wherever they can end, and lets their answers be lost, and panics where a row was not sent once and in the order of its
/// key. Answers how many rows were added.
pub async fn relay(between: &Between<'_>, effort: Effort) -> usize {
    between.prepare().await;
    let mut added = between.ends_everywhere(&[], 0, effort).await;
    for fate in [Fate::AnswerLost, Fate::Lost, Fate::NotCommitted] {
        for fates in [&[fate][..], &[fate, Fate::AnswerLost]] {
            if effort == Effort::Full {
                added = between.ends_everywhere(fates, added, effort).await;
            } else {
                between.add(added).await;
                added += KEYS.len();
                between.run(&Watch::new(None, fates.iter().copied()), 1).await;
            }
        }
    }
    assert_eq!(between.sent().await, each_once(added));
    added
}
