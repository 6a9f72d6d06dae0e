//! The ledger: everything that happened in a run, in order. The checkers read nothing else.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::code::Coded;
use tidemill_core::headers::{self, Headers};
use tidemill_core::ports::{Change, CommitBatch, Generation, LogEvent};
use tidemill_core::record::{Position, TopicPartition};
use tidemill_core::worker::Left;

use crate::fakes::VirtualClock;
use crate::simulation::Fault;

/// One life of an instance, from its start to its end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// The service.
    pub group: Arc<str>,
    /// The instance's name.
    pub member: Arc<str>,
    /// How often it was started before.
    pub life: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} (life {})", self.group, self.member, self.life)
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The part of a commit that belongs to one shard, as it was given to the port.
#[derive(Debug, Clone)]
pub struct Part {
    /// The shard.
    pub shard: u32,
    /// The ownership that the worker says it has.
    pub generation: Generation,
    /// State changes.
    pub changes: Vec<Change>,
    /// The progress of each partition in its stored form.
    pub progress: Vec<(TopicPartition, Vec<u8>)>,
}

/// A record on its way out.
#[derive(Debug, Clone)]
pub struct Out {
    /// Where it goes.
    pub target: TopicPartition,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its id, if its headers name one.
    pub id: Option<String>,
    /// The id of the event that caused it, if its headers name one.
    pub cause: Option<String>,
    /// All of its headers.
    pub headers: Headers,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// The handler answered that all went well.
    Well,
    /// The handler answered with an error.
    Badly,
    /// It was given up before it answered: a panic, a time-out, an interruption.
    GivenUp,
}

/// One thing that happened.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are who did it and to what")]
pub enum Entry {
    /// An instance joined its group and asked for these topics.
    Joined { who: Who, topics: Vec<Arc<str>> },
    /// The log told an instance of a change of ownership.
    Told { who: Who, event: LogEvent },
    /// Records were handed out.
    Delivered { who: Who, partition: TopicPartition, offsets: Vec<u64> },
    /// Revoked partitions were given up.
    Released { who: Who, partitions: Vec<TopicPartition> },
    /// An attempt of a handler began; its number is unique in the run.
    Attempt { who: Who, number: u64, handler: String, position: Position, key: Option<Vec<u8>> },
    /// An attempt ended.
    Ended { number: u64, how: Attempted },
    /// A commit was given to the port; its number is unique in the run.
    Commit { who: Who, number: u64, parts: Vec<Part>, outputs: Vec<Out> },
    /// The commit of this number took effect.
    Took { number: u64 },
    /// An operator published this.
    Operated { target: TopicPartition, id: Option<String> },
    /// A fault happened.
    Spent { fault: Fault, to: String },
    /// An instance was stopped or ended by itself.
    Left { who: Who, result: Result<Left, Coded> },
    /// An instance crashed.
    Crashed { who: Who },
    /// Tasks woke themselves again and again while no time passed.
    Spins,
}

/// Everything that happened, each with the virtual time that had passed.
pub(crate) struct Ledger {
    clock: Arc<VirtualClock>,
    entries: Mutex<Vec<(Duration, Entry)>>,
}

impl Ledger {
    pub(crate) fn new(clock: Arc<VirtualClock>) -> Self {
        Self { clock, entries: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Duration, Entry)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, entry: Entry) {
        self.lock().push((self.clock.passed(), entry));
    }

    pub(crate) fn take(&self) -> Vec<(Duration, Entry)> {
        std::mem::take(&mut self.lock())
    }
}

/// What a batch holds, for the ledger.
pub(crate) fn described(batch: &CommitBatch) -> (Vec<Part>, Vec<Out>) {
    let parts = batch.shards.iter().map(|part| {
        let stored = |(partition, progress): &(TopicPartition, tidemill_core::progress::Progress)| {
            let mut bytes = Vec::new();
            progress.encode(&mut bytes);
            (partition.clone(), bytes)
        };
        let progress = part.progress.iter().map(stored).collect();
        Part { shard: part.shard, generation: part.generation, changes: part.changes.clone(), progress }
    });
    let outputs = batch.outputs.iter().map(|output| {
        let headers = Headers::from_bytes(Bytes::copy_from_slice(output.headers));
        // What is handed on is the record that causes it.
        let cause = if headers.get(headers::HANDLER).is_some() { headers::ID } else { headers::CAUSATION_ID };
        Out {
            target: TopicPartition::new(Arc::clone(output.topic), output.partition),
            key: output.key.map(<[u8]>::to_vec),
            id: headers.text(headers::ID).map(str::to_owned),
            cause: headers.text(cause).map(str::to_owned),
            value: output.value.map(<[u8]>::to_vec),
            headers,
        }
    });
    (parts.collect(), outputs.collect())
}
