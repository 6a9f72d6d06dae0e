//! What the suites of log and commits share: members of groups that are polled together, by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tidemill_core::headers::Headers;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::ports::{Broker, Committing, Generation, Log, LogEvent, Start, Subscription};
use tidemill_core::progress::Progress;
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::time::Timestamp;

/// How long a check waits, in the broker's time, for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Room for all records of any check.
pub(super) const PLENTY: usize = 1 << 20;

/// A broker to be checked, and what time is for it.
pub trait Fixture {
    /// The broker. All checks of one run share it; they use topics and groups of their own.
    fn broker(&self) -> Arc<dyn Broker>;

    /// Runs a check to its end.
    fn run(&self, check: LocalBoxFuture<'_, ()>);

    /// Completes when so much of the broker's time has passed.
    fn pass(&self, duration: Duration) -> LocalBoxFuture<'static, ()>;

    /// How long the broker waits for partitions that it asked back.
    fn drain(&self) -> Duration;

    /// How long to watch for something that must not come.
    fn watch(&self) -> Duration {
        Duration::from_millis(20)
    }
}

/// A check: its name, and what fails when the contract is broken.
pub(super) type Check = (&'static str, for<'s, 'f> fn(&'s mut Scene<'f>) -> LocalBoxFuture<'s, ()>);

/// Makes a [`Check`] out of an async function and its description.
macro_rules! checks {
    ($($name:literal => $check:path,)*) => {
        &[$(($name, |scene| Box::pin($check(scene)))),*]
    };
}
pub(super) use checks;

/// Runs every check and panics with the names of those that failed.
pub(super) fn run_all(fixture: &dyn Fixture, suite: &str, checks: &[Check]) {
    let run = |place: usize, check: &Check| {
        let mut scene =
            Scene { fixture, broker: fixture.broker(), prefix: format!("{suite}-{place}"), peers: Vec::new() };
        fixture.run(check.1(&mut scene));
    };
    let failed: Vec<&str> = checks
        .iter()
        .enumerate()
        .filter(|(place, check)| catch_unwind(AssertUnwindSafe(|| run(*place, check))).is_err())
        .map(|(_, (name, _))| *name)
        .collect();
    assert!(failed.is_empty(), "broken contracts: {failed:#?}");
}

/// A member of a group, with everything it was told.
pub(super) struct Peer {
    pub(super) log: Box<dyn Log>,
    pub(super) commits: Committing,
    /// What it owns.
    pub(super) held: BTreeMap<TopicPartition, Generation>,
    /// What was asked back and is not released.
    pub(super) asked: BTreeSet<TopicPartition>,
    /// What it lost, ever.
    pub(super) lost: BTreeSet<TopicPartition>,
    /// What it read, in the order in which it came.
    pub(super) read: Vec<(TopicPartition, Record)>,
    /// Room that each poll gives.
    pub(super) room: usize,
    /// Whether it begins to read, from the beginning, what it is given.
    pub(super) starts: bool,
    pub(super) progress: BTreeMap<TopicPartition, Progress>,
}

impl Peer {
    /// Takes what the log has. Tells whether there was anything.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut batches = Vec::new();
        let Poll::Ready(answer) = self.log.poll(cx, self.room, &mut batches) else { return false };
        match answer.expect("a log that works answers") {
            Some(LogEvent::Assigned { partitions, generation }) => {
                for partition in partitions {
                    if self.starts {
                        self.log.start(&partition, Start::Earliest).expect("it is there");
                    }
                    assert_eq!(self.held.insert(partition, generation), None, "assigned what it held");
                }
            }
            Some(LogEvent::Revoked { partitions, .. }) => {
                assert!(
                    partitions.iter().all(|partition| self.held.contains_key(partition)),
                    "asked for what it had not"
                );
                self.asked.extend(partitions);
            }
            Some(LogEvent::Lost { partitions }) => {
                for partition in partitions {
                    assert!(self.held.remove(&partition).is_some(), "lost what it had not");
                    self.asked.remove(&partition);
                    self.lost.insert(partition);
                }
            }
            None => assert!(batches.iter().any(|batch| !batch.records.is_empty()), "ready, and nothing there"),
        }
        for batch in batches {
            assert!(self.held.contains_key(&batch.source), "records of {}, which it does not hold", batch.source);
            self.read.extend(batch.records.into_iter().map(|record| (batch.source.clone(), record)));
        }
        true
    }

    /// Gives up everything that was asked back.
    pub(super) fn release_all(&mut self) {
        let partitions: Vec<TopicPartition> = std::mem::take(&mut self.asked).into_iter().collect();
        for partition in &partitions {
            self.held.remove(partition);
        }
        self.log.release(&partitions);
    }

    /// The offsets that it read of a partition.
    pub(super) fn offsets(&self, partition: &TopicPartition) -> Vec<u64> {
        self.read.iter().filter(|(source, _)| source == partition).map(|(_, record)| record.offset).collect()
    }
}

/// One check's part of the broker.
pub(super) struct Scene<'f> {
    pub(super) fixture: &'f dyn Fixture,
    pub(super) broker: Arc<dyn Broker>,
    prefix: String,
    pub(super) peers: Vec<Option<Peer>>,
}

impl Scene<'_> {
    /// A name that no other check uses.
    pub(super) fn name(&self, name: &str) -> Arc<str> {
        format!("{}-{name}", self.prefix).into()
    }

    pub(super) fn partition(&self, topic: &str, number: u32) -> TopicPartition {
        TopicPartition::new(self.name(topic), number)
    }

    pub(super) async fn create(&self, topic: &str, partitions: u32) {
        self.broker.topics().create(&self.name(topic), partitions).await.expect("it can be created");
    }

    /// Joins a group; its members are ordered as they join. Tells the peer's place.
    pub(super) fn join(&mut self, group: &str, topics: &[&str]) -> usize {
        let place = self.peers.len();
        let subscription = Subscription {
            group: self.name(group),
            member: format!("member-{place}").into(),
            topics: topics.iter().map(|topic| self.name(topic)).collect(),
        };
        let member = self.broker.join(subscription).expect("it can join");
        self.peers.push(Some(Peer {
            log: member.log,
            commits: member.commits,
            held: BTreeMap::new(),
            asked: BTreeSet::new(),
            lost: BTreeSet::new(),
            read: Vec::new(),
            room: PLENTY,
            starts: true,
            progress: BTreeMap::new(),
        }));
        place
    }

    pub(super) fn peer(&mut self, place: usize) -> &mut Peer {
        self.peers[place].as_mut().expect("it was not dropped")
    }

    /// The member's process ends.
    pub(super) fn drop_peer(&mut self, place: usize) {
        self.peers[place] = None;
    }

    /// Polls all members until `done`, and fails when that does not come about.
    pub(super) async fn until(&mut self, what: &str, mut done: impl FnMut(&[Option<Peer>]) -> bool) {
        let came = self.poll_for(PATIENCE, &mut done).await;
        assert!(came, "it never came about that {what}");
    }

    /// Polls all members for a while; nothing has to come about.
    pub(super) async fn meanwhile(&mut self, duration: Duration) {
        self.poll_for(duration, &mut |_| false).await;
    }

    /// Polls all members for as long as something must not come.
    pub(super) async fn watch(&mut self) {
        self.meanwhile(self.fixture.watch()).await;
    }

    async fn poll_for(&mut self, duration: Duration, done: &mut dyn FnMut(&[Option<Peer>]) -> bool) -> bool {
        let mut over = pin!(self.fixture.pass(duration));
        poll_fn(|cx| {
            // Asked first: who is woken by this alone finds nothing any more, so a wake-up that was forgotten is seen.
            if over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(done(&self.peers));
            }
            loop {
                if done(&self.peers) {
                    return Poll::Ready(true);
                }
                let mut any = false;
                for peer in self.peers.iter_mut().flatten() {
                    any |= peer.poll(cx);
                }
                if !any {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Polls until every partition of these topics is held by exactly one member of those that are there.
    pub(super) async fn until_shared(&mut self, topics: &[(&str, u32)]) {
        let all: BTreeSet<TopicPartition> = topics
            .iter()
            .flat_map(|(topic, partitions)| (0..*partitions).map(|number| self.partition(topic, number)))
            .collect();
        self.until("all partitions are held", |peers| {
            let held: Vec<&TopicPartition> = peers.iter().flatten().flat_map(|peer| peer.held.keys()).collect();
            held.len() == all.len() && all.iter().all(|partition| held.contains(&partition))
        })
        .await;
    }

    /// Publishes records that carry their number, one publish for all of them.
    pub(super) async fn publish(&self, partition: &TopicPartition, numbers: std::ops::Range<u64>) {
        let values: Vec<(String, Timestamp)> = numbers
            .map(|n| (n.to_string(), Timestamp::from_millis(1_000 * i64::try_from(n).expect("small"))))
            .collect();
        let records = values.iter().map(|(value, at)| (partition, value.as_str(), *at));
        self.broker.publish(records_for(records)).await.expect("it can be published");
    }
}

/// Records for a partition, with these values.
pub(super) fn records_for<'v>(records: impl IntoIterator<Item = (&'v TopicPartition, &'v str, Timestamp)>) -> Outputs {
    let records: Vec<_> = records.into_iter().collect();
    let mut topics: Vec<Arc<str>> = records.iter().map(|(partition, ..)| Arc::clone(&partition.topic)).collect();
    topics.sort();
    topics.dedup();
    let mut outputs = Outputs::new(topics.as_slice().into());
    for (partition, value, timestamp) in records {
        let place = topics.binary_search(&partition.topic).expect("every topic is there");
        let topic = u16::try_from(place).expect("few topics");
        let address = Address { topic, partition: partition.partition, timestamp };
        outputs.push_raw(address, Some(b"key"), &Headers::default(), Some(value.as_bytes()));
    }
    outputs
}

/// Runs a future once with a waker that counts, for checks of wake-ups.
pub(super) async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}
