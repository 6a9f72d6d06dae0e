//! The log port: where records come from, and who owns which partition.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::code::{Code, Coded};
use crate::progress::Progress;
use crate::record::{RecordBatch, TopicPartition};
use crate::time::Timestamp;

/// The number of one ownership of partitions. A later ownership of the same partition has a greater number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Generation(pub u64);

/// What a member of a group asks for when it joins.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The group's stable name; the service's name unless configured.
    pub group: Arc<str>,
    /// This instance's name and the worker's number in it, unique in the group.
    pub member: Arc<str>,
    /// The input topics.
    pub topics: Vec<Arc<str>>,
}

/// Where to begin reading a partition. The place of [`Latest`](Self::Latest) and [`Time`](Self::Time) may be looked up after
/// [`Log::start`] has returned: what is published meanwhile may lie before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this offset, or at the next one there is. One before the oldest record that the log still has is an error, see
    /// [`records_lost`].
    Offset(u64),
    /// At the oldest record the log still has.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// At the first record with this timestamp or a later one; behind the newest record if there is none.
    Time(Timestamp),
}

/// The error of a log that was asked for the record at `wanted`, and whose oldest record is at `oldest`, behind it.
pub fn records_lost(partition: &TopicPartition, wanted: u64, oldest: u64) -> Coded {
    let message = format!("the records {wanted} to {} of {partition} were deleted before they were done", oldest - 1);
    Coded::new(Code::RECORDS_LOST, message)
}

/// What happened to this member's ownership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// These partitions belong to this member from now on. Nothing is read from them before [`Log::start`].
    Assigned {
        /// The partitions that came; others stay as they are.
        partitions: Vec<TopicPartition>,
        /// The number of this ownership.
        generation: Generation,
    },
    /// These partitions go to somebody else. They stay this member's until [`Log::release`], or until `drain` is over.
    Revoked {
        /// The partitions that go.
        partitions: Vec<TopicPartition>,
        /// How long the others wait.
        drain: Duration,
    },
    /// These partitions are somebody else's already. Nothing may be committed for them.
    Lost {
        /// The partitions that are gone.
        partitions: Vec<TopicPartition>,
    },
    /// The group is to begin nothing new: an operator paused it. Ownership stays, and moves, as ever. A member of a group that is
    /// paused is told before it is assigned anything.
    Paused,
    /// The group goes on.
    Resumed,
}

/// One member's view of the log: batches in, ownership events in, positions out.
///
/// Contract: records of a partition come in offset order, each once, from where it was started; none come before
/// [`Log::start`], after [`Log::release`], after [`LogEvent::Lost`], or while the partition is paused (a pause ends with
/// its assignment). A partition that was revoked and not yet released is assigned to nobody else within its drain time. When
/// members come or go, a broker may ask back what has to move, or everything; what then comes back to its member is a new
/// ownership.
pub trait Log {
    /// Takes what is there. `Ready(Some(event))`: ownership changed. `Ready(None)`: batches were appended to `into`, with
    /// about `room` bytes of records at most (one record may be larger), and each with records or a position that moved on;
    /// with `room` 0 no records come. `Pending`: nothing is there, the
    /// task will be woken; with room given it means that the input is drained for the moment.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        into: &mut Vec<RecordBatch>,
    ) -> Poll<Result<Option<LogEvent>, Coded>>;

    /// Begins reading an assigned partition.
    fn start(&mut self, partition: &TopicPartition, from: Start) -> Result<(), Coded>;

    /// Stops handing out records of a partition until [`Log::resume`]; its position stays.
    fn pause(&mut self, partition: &TopicPartition);

    /// Goes on after [`Log::pause`].
    fn resume(&mut self, partition: &TopicPartition);

    /// Gives revoked partitions up: the drain is over, what had to be committed is committed. Of others nothing is given up.
    fn release(&mut self, partitions: &[TopicPartition]);

    /// Takes note of progress that is durable elsewhere than in the log, for tools that ask the log how far a group is. Nothing rests
    /// on it.
    fn note(&mut self, _progress: &[(TopicPartition, Progress)]) {}

    /// Begins to leave the group: what this member owns comes back as [`LogEvent::Revoked`], nothing new is assigned.
    fn leave(&mut self);
}
