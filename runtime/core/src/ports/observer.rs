//! The observer port: one method for each thing that happens, empty unless somebody wants it.

use std::time::Duration;

use crate::code::Coded;
use crate::record::{Position, TopicPartition};
use crate::relay::Relayed;

/// How one unit ended well or badly. Interrupted units are reported as a number, with their shard.
#[derive(Debug)]
pub struct UnitEnded<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The shard.
    pub shard: u32,
    /// The record.
    pub position: &'a Position,
    /// What ended it, if it did not end well.
    pub failure: Option<&'a Coded>,
    /// What became of its record.
    pub disposition: Disposition,
}

/// What became of a unit's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Disposition {
    /// It has had its effects.
    Done,
    /// It is a copy of an event that had its effects already, and has none.
    Copy,
    /// It had its effects before a backfill, which is another handler's.
    Passed,
    /// It is parked behind others of its key.
    Queued,
    /// It is parked, and will be tried again.
    Parked,
    /// It is a dead letter, and its key goes on.
    DeadLettered,
    /// It is a dead letter, and its key waits for an operator.
    Held,
    /// It was an operator's command, or what one wanted of it could not be done any more.
    Commanded,
    /// It has none: the runtime wrote its mark.
    Marked,
    /// It has none: the runtime wrote something else for itself.
    Kept,
    /// The service stops because of it.
    Stops,
}

/// An attempt failed and another follows.
#[derive(Debug)]
pub struct Retrying<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The record.
    pub position: &'a Position,
    /// The number of the attempt that failed, from 1.
    pub attempt: u32,
    /// How long the lane waits before the next.
    pub delay: Duration,
    /// Why it failed.
    pub cause: &'a str,
}

/// A commit went through.
#[derive(Debug, Clone, Copy)]
pub struct Committed {
    /// Units in it.
    pub units: usize,
    /// Records it emitted.
    pub outputs: usize,
    /// How long it took.
    pub took: Duration,
}

/// Sees what a worker does. Called on the worker's thread: an observer must not block.
pub trait Observer: Send + Sync {
    /// Whether [`Observer::unit_ended`] is wanted for units that ended well; without, only others are reported.
    fn wants_units(&self) -> bool {
        false
    }
    /// A shard has all its partitions, and its state is being read.
    fn shard_loading(&self, _shard: u32) {}
    /// A shard has all its partitions and its state, and runs.
    fn shard_started(&self, _shard: u32) {}
    /// An operator paused the service, or lets it go on.
    fn paused(&self, _is_paused: bool) {}
    /// A shard has some of its partitions and waits for these.
    fn shard_waits(&self, _shard: u32, _missing: &[TopicPartition]) {}
    /// A shard ended here; `interrupted` units were under way or queued and will run elsewhere.
    fn shard_ended(&self, _shard: u32, _interrupted: usize) {}
    /// A unit ended.
    fn unit_ended(&self, _unit: &UnitEnded<'_>) {}
    /// An attempt failed and the lane waits for the next.
    fn retrying(&self, _retrying: &Retrying<'_>) {}
    /// What handlers need from outside is away, and its records wait; or it is back.
    fn breaker(&self, _dependency: &str, _is_open: bool, _cause: &str) {}
    /// Ids of events were dropped before their time, as there was no room for them: copies of those events are not known any more.
    fn inbox_forgot(&self, _shard: u32) {}
    /// A commit went through.
    fn committed(&self, _commit: Committed) {}
    /// A commit did not go through, and this follows.
    fn commit_failed(&self, _cause: &Coded, _what_follows: &str) {}
    /// A relay sent rows of the outbox.
    fn relayed(&self, _relayed: Relayed) {}
    /// A relay cannot go on now, and tries until it can.
    fn relay_waits(&self, _cause: &Coded) {}
    /// A row of the outbox is not taken by the log; others of its topic and key wait behind it.
    fn row_parked(&self, _id: u64, _why: &str) {}
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
