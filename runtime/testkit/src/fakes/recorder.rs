//! An observer that remembers.

use std::sync::{Mutex, PoisonError};

use tidemill_core::code::Coded;
use tidemill_core::ports::{Committed, Disposition, Observer, Retrying, UnitEnded};
use tidemill_core::record::{Position, TopicPartition};

/// One thing that a worker told its observer.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each variant is the observer's method of the same name")]
pub enum Seen {
    ShardStarted { shard: u32 },
    ShardWaits { shard: u32, missing: Vec<TopicPartition> },
    ShardEnded { shard: u32, interrupted: usize },
    UnitEnded { handler: String, position: Position, failure: Option<Coded>, disposition: Disposition },
    Retrying { handler: String, position: Position, attempt: u32, cause: String },
    Breaker { dependency: String, is_open: bool },
    InboxForgot { shard: u32 },
    Committed(Committed),
    CommitFailed { cause: Coded, what_follows: String },
}

/// Remembers everything in the order in which it happened.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Seen>>);

impl Recorder {
    /// Everything so far.
    pub fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many of those so far `wanted` says yes to.
    pub fn count(&self, wanted: impl Fn(&Seen) -> bool) -> usize {
        self.all().iter().filter(|seen| wanted(seen)).count()
    }

    fn push(&self, seen: Seen) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }
}

impl Observer for Recorder {
    fn wants_units(&self) -> bool {
        true
    }

    fn shard_started(&self, shard: u32) {
        self.push(Seen::ShardStarted { shard });
    }

    fn shard_waits(&self, shard: u32, missing: &[TopicPartition]) {
        self.push(Seen::ShardWaits { shard, missing: missing.to_vec() });
    }

    fn shard_ended(&self, shard: u32, interrupted: usize) {
        self.push(Seen::ShardEnded { shard, interrupted });
    }

    fn unit_ended(&self, unit: &UnitEnded<'_>) {
        let (handler, position) = (unit.handler.to_owned(), unit.position.clone());
        self.push(Seen::UnitEnded { handler, position, failure: unit.failure.cloned(), disposition: unit.disposition });
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        self.push(Seen::Retrying {
            handler: retrying.handler.to_owned(),
            position: retrying.position.clone(),
            attempt: retrying.attempt,
            cause: retrying.cause.to_owned(),
        });
    }

    fn breaker(&self, dependency: &str, is_open: bool, _cause: &str) {
        self.push(Seen::Breaker { dependency: dependency.to_owned(), is_open });
    }

    fn inbox_forgot(&self, shard: u32) {
        self.push(Seen::InboxForgot { shard });
    }

    fn committed(&self, commit: Committed) {
        self.push(Seen::Committed(commit));
    }

    fn commit_failed(&self, cause: &Coded, what_follows: &str) {
        self.push(Seen::CommitFailed { cause: cause.clone(), what_follows: what_follows.to_owned() });
    }
}
