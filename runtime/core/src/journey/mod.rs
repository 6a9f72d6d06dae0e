//! The way of one event across services, as it stands in the logs: who took it, with how many attempts, what came of it, and so on.
//!
//! Nothing runs: events say what caused them and what they belong to, and the services' journals say what became of each.

mod follow;
mod scan;
mod units;

use std::sync::Arc;

use bytes::Bytes;

use crate::id::EventId;
use crate::journal::Ending;
use crate::record::Position;
use crate::time::Timestamp;

pub use follow::follow;

/// Which event, and where to look for what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The id of an event, or what events have in common that belong together: the id of the first.
    pub id: String,
    /// Only what was written then or later.
    pub from: Option<Timestamp>,
    /// Only what was written before.
    pub to: Option<Timestamp>,
}

/// All that belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// What it has in common: the id of the first event.
    pub correlation: String,
    /// The events, in the order in which they were found.
    pub events: Vec<Event>,
    /// Those among them of which nothing is found that caused them.
    pub roots: Vec<usize>,
    /// What handled them.
    pub units: Vec<Unit>,
    /// How many records were looked at.
    pub looked_at: u64,
}

/// What stands in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where.
    pub position: Position,
    /// When it was written; of a dead letter, when its record failed.
    pub at: Timestamp,
    /// The event's id.
    pub id: String,
    /// Its type.
    pub event: String,
    /// Its key.
    pub key: Option<Bytes>,
    /// Who emitted it.
    pub source: String,
    /// Whether it is the one that was asked for.
    pub is_asked: bool,
    /// What it is.
    pub what: What,
    /// What handled it, by its place among all.
    pub units: Vec<usize>,
}

/// What a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An event.
    Event,
    /// The dead letter of one.
    Letter {
        /// The id of the letter.
        letter: String,
        /// How many times its record failed for good, from 1.
        round: u32,
        /// The code of the failure.
        code: String,
        /// What was said, redacted.
        message: String,
    },
    /// An operator's command that is about one.
    Command {
        /// What is wanted.
        wish: &'static str,
        /// Who wants it.
        by: String,
        /// Why.
        reason: String,
    },
}

/// What one service did with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The service.
    pub service: Arc<str>,
    /// The name of its handler; empty where none takes the event.
    pub handler: Arc<str>,
    /// When it was its turn, and what became of it; the last time last.
    pub turns: Vec<Turn>,
    /// What came of it, by its place among all events.
    pub events: Vec<usize>,
    /// Those of its timers that have fired.
    pub timers: Vec<Fired>,
}

/// One time that it was a unit's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The time that it saw.
    pub at: Timestamp,
    /// The number of its last attempt.
    pub attempt: u32,
    /// How it ended.
    pub ended: Ending,
}

/// A timer that has fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fired {
    /// When it was due.
    pub due: Timestamp,
    /// The id of its event.
    pub id: EventId,
    /// What handled it, by its place among all.
    pub unit: usize,
}

impl Unit {
    /// Whether it had its effects.
    fn is_done(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.ended.is_done())
    }
}
