//! The local copy of a group's state on Kafka: gone on with while the changelog can still tell what it misses.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use devkit::kafka::{Options, own_for_tests};
use futures_util::future::BoxFuture;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Answer, Broker, Change, Clock, CommitBatch, Committing, Durability, Generation, KeyRange, LogEvent, Member,
    ShardCommit, Store, Subscription,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;
use tidemill_embedded::store;
use tidemill_kafka::{Kafka, Settings};
use tokio::runtime::Builder;

use super::{Threads, Wall};

const GROUP: &str = "group";
const INPUT: &str = "in";
/// How far the clock goes on between two owners: in the first case the changelog still knows what was removed meanwhile.
const SHORT_REST: Duration = Duration::from_hours(11);
const LONG_REST: Duration = Duration::from_hours(13);

/// The machine's time, and what was added to it.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Ahead {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(Wall.now().as_millis() + self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Wall.sleep(duration)
    }
}

/// A member that owns the only shard, whose state it has read.
struct Owner {
    member: Member,
    generation: Generation,
}

impl Owner {
    async fn new(broker: &Kafka, name: &str) -> Self {
        let topics = vec![INPUT.into()];
        let subscription = Subscription { group: GROUP.into(), member: name.into(), topics };
        let mut member = broker.join(subscription).unwrap();
        let generation = poll_fn(|cx| {
            loop {
                let event = ready!(member.log.poll(cx, 0, &mut Vec::new())).unwrap();
                if let Some(LogEvent::Assigned { generation, .. }) = event {
                    return Poll::Ready(generation);
                }
            }
        })
        .await;
        let owner = Self { member, generation };
        let Committing::Batch(commits) = &owner.member.commits else { unreachable!("Kafka commits batches") };
        commits.load(0, generation, vec![TopicPartition::new(INPUT, 0)]).await.unwrap();
        owner
    }

    /// Commits a record's effect.
    async fn set(&self, key: &'static str, value: &'static str) {
        let Committing::Batch(commits) = &self.member.commits else { unreachable!("Kafka commits batches") };
        let mut progress = Progress::default();
        progress.take_done(0);
        let change = Change { key: Bytes::from_static(key.as_bytes()), value: Some(value.into()) };
        let progress = vec![(TopicPartition::new(INPUT, 0), progress)];
        let part = ShardCommit { shard: 0, generation: self.generation, changes: vec![change], progress };
        let batch = CommitBatch { shards: vec![part], outputs: Outputs::default(), units: 1 };
        assert!(matches!(commits.commit(Arc::new(batch)).await, Answer::Committed));
    }

    /// The keys of the state.
    fn keys(&self) -> Vec<String> {
        let Committing::Batch(commits) = &self.member.commits else { unreachable!("Kafka commits batches") };
        let entries = commits.scan(0, &KeyRange::all(), usize::MAX).unwrap();
        entries.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect()
    }
}

/// Puts a key beside `beside` into the cache, as one whose removal the cache has missed stands there.
fn leave_behind(cache: &dyn Store, beside: &str, key: &str) {
    let all = cache.scan(&KeyRange::all(), usize::MAX).unwrap();
    let (place, value) = all.into_iter().find(|(place, _)| place.ends_with(beside.as_bytes())).expect("it was set");
    let place = [&place[..place.len() - beside.len()], key.as_bytes()].concat();
    cache.apply(vec![Change { key: place.into(), value: Some(value) }], Durability::Buffered).unwrap();
}

#[test]
fn a_cache_that_may_have_missed_removals_is_made_anew() {
    let Some(node) = own_for_tests("the cache of a group on Kafka", &Options::default()) else { return };
    let (clock, cache) = (Arc::new(Ahead::default()), store::memory());
    let run = Builder::new_current_thread().enable_time().build().unwrap();
    // Each is a process of its own with the same folder.
    let process = || {
        let settings = Settings { brokers: node.address(), ..Settings::default() };
        let threads = Arc::new(Threads(Builder::new_current_thread().build().unwrap()));
        let cache = Arc::clone(&cache);
        Kafka::open(settings, Arc::new(move |_| Ok(Arc::clone(&cache))), Arc::<Ahead>::clone(&clock), threads).unwrap()
    };
    let broker = process();
    run.block_on(async {
        broker.topics().create(INPUT, 1).await.unwrap();
        for own in broker.own_topics(GROUP) {
            broker.create_own(&own.name, &[INPUT.into()], 1).await.unwrap();
        }
        Owner::new(&broker, "first").await.set("kept", "1").await;
    });
    leave_behind(&*cache, "kept", "removed");
    clock.pass(SHORT_REST);
    let broker = process();
    let keys = run.block_on(async { Owner::new(&broker, "second").await.keys() });
    assert_eq!(keys, ["kept", "removed"], "the cache is gone on with: only what is newer is read");
    clock.pass(LONG_REST);
    let broker = process();
    let keys = run.block_on(async { Owner::new(&broker, "third").await.keys() });
    assert_eq!(keys, ["kept"], "all of it was read anew");
}
