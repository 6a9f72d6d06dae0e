//! What the embedded broker keeps, and what it says of what is gone.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tempfile::TempDir;
use tidemill_core::code::Code;
use tidemill_core::headers::Headers;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::ports::{
    Answer, Broker, Change, CommitBatch, Committing, Generation, LogEvent, Member, ShardCommit, Start, Subscription,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;
use tidemill_embedded::store::{self, StoreKind};
use tidemill_embedded::{Embedded, Retention, Settings};
use tidemill_testkit::fakes::{Inline, VirtualClock, block_on};

/// The bytes of one record's value; each publish makes one chunk.
const VALUE_BYTES: usize = 1_000;
/// Longer than the time between two looks at the old ends.
const A_WHILE: Duration = Duration::from_secs(2);

struct Log {
    clock: Arc<VirtualClock>,
    directory: TempDir,
    retention: Retention,
    broker: Arc<Embedded>,
}

impl Log {
    fn new(retention: Retention) -> Self {
        let (clock, directory) = (VirtualClock::new(), tempfile::tempdir().unwrap());
        let broker = open(&clock, &directory, retention);
        block_on(&clock, broker.topics().create("in", 1)).unwrap();
        Self { clock, directory, retention, broker }
    }

    fn publish(&self) {
        block_on(&self.clock, self.broker.publish(one_record())).unwrap();
    }

    /// A member that was assigned the partition, and the generation of that.
    fn member(&self) -> (Member, Generation) {
        let subscription = Subscription { group: "late".into(), member: "one".into(), topics: vec!["in".into()] };
        let mut member = self.broker.join(subscription).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let event = member.log.poll(&mut cx, 0, &mut Vec::new());
        let Poll::Ready(Ok(Some(LogEvent::Assigned { generation, .. }))) = event else { panic!("{event:?}") };
        (member, generation)
    }

    fn offsets(&self) -> (u64, u64) {
        block_on(&self.clock, self.broker.topics().offsets(&place())).unwrap()
    }

    fn reopened(self) -> Self {
        drop(self.broker);
        let broker = open(&self.clock, &self.directory, self.retention);
        Self { broker, ..self }
    }
}

fn one_record() -> Outputs {
    let mut outputs = Outputs::new(["in".into()].into());
    // The events are years old: what counts is when they are appended.
    let address = Address { topic: 0, partition: 0, timestamp: Timestamp::from_millis(0) };
    outputs.push_raw(address, None, &Headers::default(), Some(&[7; VALUE_BYTES]));
    outputs
}

fn place() -> TopicPartition {
    TopicPartition::new("in", 0)
}

fn open(clock: &Arc<VirtualClock>, directory: &TempDir, retention: Retention) -> Arc<Embedded> {
    let settings = Settings { store: StoreKind::Fjall, retention, ..Settings::default() };
    let time = Arc::<VirtualClock>::clone(clock);
    Embedded::open(directory.path(), &settings, time, Arc::new(Inline)).unwrap()
}

#[test]
fn everything_is_kept_unless_somebody_says_otherwise() {
    let log = Log::new(Retention::default());
    for _ in 0..20 {
        log.publish();
        log.clock.advance(Duration::from_hours(24 * 365));
    }
    assert_eq!(log.offsets(), (0, 20));
}

#[test]
fn size_bounds_a_partition_from_its_old_end() {
    let mut log = Log::new(Retention { bytes: Some(5 * VALUE_BYTES as u64), age: None });
    for round in 1..=20 {
        log.publish();
        log.clock.advance(A_WHILE);
        if round == 10 {
            // What is there is counted again at the start.
            log = log.reopened();
        }
        let (start, end) = log.offsets();
        assert!(end == round && end - start <= 5, "round {round}: {start} to {end}");
    }
    let (start, end) = log.offsets();
    assert_eq!((start, end), (16, 20), "four records and their overhead are less than five thousand bytes");
}

#[test]
fn age_counts_from_the_append_and_the_newest_chunk_stays() {
    let log = Log::new(Retention { age: Some(Duration::from_mins(1)), bytes: None });
    log.publish();
    log.publish();
    log.clock.advance(Duration::from_secs(50));
    log.publish();
    assert_eq!(log.offsets(), (0, 3), "nothing is a minute old");
    log.clock.advance(Duration::from_secs(20));
    log.publish();
    assert_eq!(log.offsets(), (2, 4), "the first two are");
    log.clock.advance(Duration::from_hours(1));
    log.publish();
    assert_eq!(log.offsets(), (4, 5), "the newest stays");
    assert_eq!(log.reopened().offsets(), (4, 5));
}

#[test]
fn records_that_are_gone_are_named_to_whoever_needs_them() {
    let log = Log::new(Retention { bytes: Some(2 * VALUE_BYTES as u64), age: None });
    let mut member = log.member().0.log;
    for _ in 0..5 {
        log.publish();
        log.clock.advance(A_WHILE);
    }
    let (start, _) = log.offsets();
    let error = member.start(&place(), Start::Offset(1)).unwrap_err();
    assert_eq!(error.code, Code::RECORDS_LOST);
    assert!(error.message.contains(&format!("1 to {}", start - 1)) && error.message.contains("in-0"), "{error}");
    member.start(&place(), Start::Offset(start)).unwrap();
    // A reader that is overtaken is told as well.
    for _ in 0..5 {
        log.clock.advance(A_WHILE);
        log.publish();
    }
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = member.poll(&mut cx, 1, &mut Vec::new()) else { panic!("nobody told the reader") };
    assert_eq!(error.code, Code::RECORDS_LOST);
}

#[test]
fn a_refused_commit_takes_no_room() {
    let log = Log::new(Retention { bytes: Some(5 * VALUE_BYTES as u64), age: None });
    let (member, generation) = log.member();
    let Committing::Batch(commits) = member.commits else { panic!("the embedded broker commits in batches") };
    log.publish();
    for _ in 0..10 {
        let too_long = Change { key: vec![b'k'; store::KEY_LIMIT + 1].into(), value: Some("v".into()) };
        let progress = vec![(place(), Progress::default())];
        let shard = ShardCommit { shard: 0, generation, changes: vec![too_long], progress };
        let batch = CommitBatch { shards: vec![shard], outputs: one_record(), units: 1 };
        let answer = block_on(&log.clock, commits.commit(batch.into()));
        assert!(matches!(answer, Answer::NotCommitted(_)), "{answer:?}");
    }
    log.clock.advance(A_WHILE);
    log.publish();
    assert_eq!(log.offsets(), (0, 2));
}
