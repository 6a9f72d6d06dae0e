//! The internal topic of a service: how operators' commands reach a running shard, and what is recorded of each.
//!
//! A command is an ordinary record of an ordinary input: it is ordered, durable, and done once. It goes to the partition of the
//! shard that it is meant for, under the key of the record that it is about.

use serde::{Deserialize, Serialize};

use crate::headers::{self, Headers};
use crate::parking::Parked;
use crate::record::Record;
use crate::state::{decode, encode};
use crate::time::Timestamp;

/// The event type of commands.
pub const COMMAND: &str = "tidemill.command";
/// The event type of what is recorded of them.
pub const OPERATION: &str = "tidemill.operation";

/// What the names of the topics of dead letters end with.
pub const DEAD_LETTERS: &str = ".dead-letters";
/// What the names of internal topics end with.
pub const INTERNAL: &str = ".internal";

/// What the names of journals end with.
pub const JOURNAL: &str = ".journal";

/// The topic that a group's dead letters go to.
pub fn dead_letters(group: &str) -> String {
    format!("{group}{DEAD_LETTERS}")
}

/// The topic in which a group finds its operators' commands.
pub fn internal(group: &str) -> String {
    format!("{group}{INTERNAL}")
}

/// What stands for a topic where timers of a group fire. There is none of this name.
pub(crate) fn timers(group: &str) -> String {
    format!("{group}.timers")
}

/// The topic in which stands which units each commit of a group held.
pub fn journal(group: &str) -> String {
    format!("{group}{JOURNAL}")
}

/// The topic in which stands what operators did to a group.
pub fn operations(group: &str) -> String {
    format!("{group}.operations")
}

/// Who wants something, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The command's own id.
    pub id: String,
    /// Who gave it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since the epoch.
    pub at: i64,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// Handle the record of a dead letter again, as it is given here, if this round of it is open.
    Redrive {
        /// The letter's id.
        letter: String,
        /// Its round.
        round: u32,
    },
    /// Close a dead letter; its record will have no effects.
    Discard {
        /// The letter's id.
        letter: String,
        /// Its round.
        round: u32,
    },
    /// Handle the first parked record of a lane now.
    Release,
    /// Give a parked record up; it will have no effects.
    DiscardParked,
    /// Go on with an instance of a saga that needs a person.
    Saga(Help),
}

/// How a person helps an instance of a saga of which something could not be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Help {
    /// It is tried again, as often as at first.
    Retry,
    /// It is not undone, and what was done before it is.
    Skip,
    /// Nothing more is undone: the instance has ended.
    Finish {
        /// With this outcome.
        outcome: String,
    },
}

impl Wish {
    /// Its name in lists.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Redrive { .. } => "redrive",
            Self::Discard { .. } => "discard",
            Self::Release => "release",
            Self::DiscardParked => "discard-parked",
            Self::Saga(Help::Retry) => "saga-retry",
            Self::Saga(Help::Skip) => "saga-skip",
            Self::Saga(Help::Finish { .. }) => "saga-finish",
        }
    }
}

/// A command to a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Who wants it, and why.
    pub order: Order,
    /// What is wanted.
    pub wish: Wish,
    /// The record that it is about: its handler and key name the lane.
    pub target: Parked,
}

impl Command {
    /// The value and the headers of the record that carries it.
    pub fn to_record(&self) -> (Vec<u8>, Headers) {
        let value = encode(self).expect("a struct of plain parts can be written");
        let pairs = [(headers::TYPE, COMMAND), (headers::ID, self.order.id.as_str())];
        (value, Headers::from_pairs(pairs.map(|(name, value)| (name, Some(value.as_bytes())))))
    }

    /// Reads a record of an internal topic; `None` for one that is no command.
    pub(crate) fn read(record: &Record) -> Option<Self> {
        let is_command = record.headers.get(headers::TYPE) == Some(COMMAND.as_bytes());
        is_command.then(|| decode(record.value.as_deref()?).ok()).flatten()
    }
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It was done.
    Done,
    /// The record has had its effects, after a redrive.
    Applied,
    /// The record failed for good again: its letter has another round.
    FailedAgain,
    /// There was nothing to do it to.
    Refused,
}

/// What stands of an act in the operations topic, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The command's id; of what happened without one, the letter's.
    pub id: String,
    /// What was wanted: `redrive`, `discard`, `release`, `discard-parked`, `saga-retry`, `saga-skip`, `saga-finish`, `replay-emit`; `applied` where a held record
    /// had its effects without a redrive, `copy` where a copy of a letter's record had.
    pub act: String,
    /// Who wanted it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was wanted, RFC 3339.
    pub wanted_at: String,
    /// When it was done.
    pub done_at: String,
    /// What became of it.
    pub became: Became,
    /// More about that.
    pub detail: String,
    /// The handler.
    pub handler: String,
    /// Where the record came from.
    pub origin: String,
    /// The dead letter that is open no more, or has another round.
    pub letter: Option<String>,
}

impl Operation {
    /// Of what somebody wanted, and became so at this time.
    pub fn of(order: &Order, act: &str, became: Became, at: Timestamp) -> Self {
        Self {
            id: order.id.clone(),
            act: act.to_owned(),
            by: order.by.clone(),
            reason: order.reason.clone(),
            wanted_at: Timestamp::from_millis(order.at).to_string(),
            done_at: at.to_string(),
            became,
            detail: String::new(),
            handler: String::new(),
            origin: String::new(),
            letter: None,
        }
    }

    /// The value and the headers of the record that tells of it. Its key is the id.
    pub fn to_record(&self) -> (Vec<u8>, Headers) {
        let value = serde_json::to_vec(self).expect("a struct of plain parts can be written");
        let pairs = [(headers::TYPE, OPERATION), (headers::ID, self.id.as_str())];
        (value, Headers::from_pairs(pairs.map(|(name, value)| (name, Some(value.as_bytes())))))
    }

    /// Reads a record of an operations topic; `None` for one that is something else.
    pub fn read(record: &Record) -> Option<Self> {
        let is_operation = record.headers.get(headers::TYPE) == Some(OPERATION.as_bytes());
        is_operation.then(|| serde_json::from_slice(record.value.as_deref()?).ok()).flatten()
    }
}
