//! An instance of a saga, as it lies in state.

use serde::{Deserialize, Serialize};

use crate::ports::Entry;
use crate::state::{Cell, ScopeKey, Unreadable, decode};
use crate::time::Timestamp;

/// The cell that an instance lies in.
pub(super) const INSTANCE: Cell<Instance> = Cell::named("tidemill.saga");
/// Events of a key that wait until its state changes.
pub(super) const WAITING: Cell<Vec<Waiting>> = Cell::named("tidemill.waiting");
/// How many of the last things that happened to an instance are kept.
const HISTORY: usize = 64;

/// How it stands with an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It waits for its next event.
    Running,
    /// What it did is being undone.
    Compensating,
    /// Something could not be undone.
    NeedsPerson,
    /// It has ended, with this outcome.
    Ended(String),
}

/// What undoes a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) name: String,
    #[serde(with = "serde_bytes")]
    pub(super) data: Vec<u8>,
}

/// One thing that happened to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// The event's type, or what was undone.
    pub event: String,
    /// The event's id, where it has one.
    pub id: Option<String>,
    /// The state before, and the one after.
    pub from: String,
    /// The state after; how it ended or why it is undone, where it is.
    pub to: String,
    /// The types of the events that were emitted.
    pub emitted: Vec<String>,
    /// How many times it happened, one after the other; the time and the id are those of the last.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

impl Happened {
    /// Whether this is the same again.
    fn is_again(&self, before: &Self) -> bool {
        self.event == before.event && self.from == before.from && self.to == before.to && self.emitted == before.emitted
    }
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// How it stands.
    pub status: Status,
    /// The name of its state, the last one where it does not run any more.
    pub state: String,
    pub(super) version: u32,
    #[serde(with = "serde_bytes")]
    pub(super) data: Vec<u8>,
    /// When it began, in milliseconds since the epoch.
    pub began: i64,
    /// When anything happened to it last.
    pub changed: i64,
    /// Why it is undone, or what could not be.
    pub reason: Option<String>,
    pub(super) to_undo: Vec<Registered>,
    /// What was undone so far, by name.
    pub undone: Vec<String>,
    /// What an operator gave up to undo, by name.
    #[serde(default)]
    pub skipped: Vec<String>,
    /// How often undoing the last of `to_undo` failed.
    pub(super) tries: u32,
    /// The last things that happened, oldest first.
    pub history: Vec<Happened>,
}

impl Instance {
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            status: Status::Running,
            state: String::new(),
            version: 0,
            data: Vec::new(),
            began: at.as_millis(),
            changed: at.as_millis(),
            reason: None,
            to_undo: Vec::new(),
            undone: Vec::new(),
            skipped: Vec::new(),
            tries: 0,
            history: Vec::new(),
        }
    }

    /// What would be undone, by name, the next last.
    pub fn to_undo(&self) -> impl Iterator<Item = &str> {
        self.to_undo.iter().map(|registered| &*registered.name)
    }

    pub(super) fn remember(&mut self, happened: Happened) {
        self.changed = happened.at;
        match self.history.last_mut().filter(|before| happened.is_again(before)) {
            Some(before) => *before = Happened { times: before.times + 1, ..happened },
            None => self.history.push(happened),
        }
        let old = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..old);
    }
}

/// An event that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// The name of the timer that it is.
    pub(super) timer: String,
    pub(super) event: String,
    /// Until when it waits, in milliseconds since the epoch.
    pub(super) until: i64,
    /// Whether its turn has come, behind those that were woken before.
    #[serde(default)]
    pub(super) is_woken: bool,
}

impl Waiting {
    /// Of one that waits for nothing but those before it.
    pub(super) const BEHIND: i64 = i64::MAX;
}

/// The instance that a state entry of a service is, with its saga's name and its key; `None` for an entry that is something else.
pub fn instance((key, value): &Entry) -> Option<(&str, &[u8], Result<Instance, Unreadable>)> {
    let place = ScopeKey::parse(key).filter(|place| place.name == INSTANCE.name() && place.entry.is_none())?;
    Some((place.handler, place.key, decode(value)))
}
