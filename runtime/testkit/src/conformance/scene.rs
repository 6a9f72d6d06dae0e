//! What the suites of log and commits share: members of groups that are polled together, by hand.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tidemill_core::headers::Headers;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::ports::{Broker, Subscription};
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;

use super::peer::Peer;

/// How long a check waits, in the broker's time, for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker to be checked, and what time is for it.
pub trait Fixture: Sync {
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

    /// Whether a commit is refused whose outputs go to partitions that are not there. An outbox takes them.
    fn refuses_places(&self) -> bool {
        true
    }

    /// How many checks run at the same time, each on a thread of its own: where time is real, most of it is waiting.
    fn at_once(&self) -> usize {
        1
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
#[expect(clippy::disallowed_methods, reason = "checks in real time wait most of the time; all of them are joined here")]
pub(super) fn run_all(fixture: &dyn Fixture, suite: &str, checks: &[Check]) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let run_some = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some((name, check)) = checks.get(place) else { return };
            let run = || {
                let prefix = format!("{suite}-{place}");
                let mut scene = Scene { fixture, broker: fixture.broker(), prefix, peers: Vec::new() };
                fixture.run(check(&mut scene));
            };
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(*name);
            }
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..fixture.at_once() {
            threads.spawn(run_some);
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "broken contracts: {failed:#?}");
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
    pub(super) async fn join(&mut self, group: &str, topics: &[&str]) -> usize {
        let place = self.peers.len();
        let subscription = Subscription {
            group: self.name(group),
            member: format!("member-{place}").into(),
            topics: topics.iter().map(|topic| self.name(topic)).collect(),
        };
        self.prepare(&subscription).await;
        let member = self.broker.join(subscription).expect("it can join");
        self.peers.push(Some(Peer::new(member)));
        place
    }

    /// Creates the topics that the broker needs for a group itself.
    async fn prepare(&self, subscription: &Subscription) {
        let (own, about) = (self.broker.own_topics(&subscription.group), self.broker.topics());
        let mut partitions = 0;
        for topic in &subscription.topics {
            let known = about.describe(topic).await.expect("it answers");
            partitions = partitions.max(known.expect("the check created it").partitions);
        }
        for own in own {
            let created = self.broker.create_own(&own.name, &subscription.topics, own.partitions.unwrap_or(partitions));
            created.await.expect("it can be created");
        }
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
        self.until_shared_as(topics, |_| true).await;
    }

    /// Polls until every partition of these topics is held by exactly one member, in the way that is wanted. Brokers differ in
    /// what they ask back meanwhile, and how often: members that should not mind have to give it up ([`Peer::gives`]).
    pub(super) async fn until_shared_as(
        &mut self,
        topics: &[(&str, u32)],
        mut as_wanted: impl FnMut(&[Option<Peer>]) -> bool,
    ) {
        let all: BTreeSet<TopicPartition> = topics
            .iter()
            .flat_map(|(topic, partitions)| (0..*partitions).map(|number| self.partition(topic, number)))
            .collect();
        self.until("all partitions are held as wanted", |peers| {
            let held: Vec<&TopicPartition> = peers.iter().flatten().flat_map(|peer| peer.held.keys()).collect();
            held.len() == all.len() && all.iter().all(|partition| held.contains(&partition)) && as_wanted(peers)
        })
        .await;
    }

    /// From now on all members give up at once what is asked back; what was asked back before, too.
    pub(super) fn give(&mut self) {
        for peer in self.peers.iter_mut().flatten() {
            peer.gives = true;
            if !peer.asked.is_empty() {
                peer.release_all();
            }
        }
    }

    /// Publishes records that carry their number, one publish for all of them. Number 0 is of second 1, and so on.
    pub(super) async fn publish(&self, partition: &TopicPartition, numbers: std::ops::Range<u64>) {
        let second = |n: u64| Timestamp::from_millis(1_000 * i64::try_from(n + 1).expect("small"));
        let values: Vec<(String, Timestamp)> = numbers.map(|n| (n.to_string(), second(n))).collect();
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
