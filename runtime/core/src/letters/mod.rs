//! Dead letters: how they are written, how they are read again, and which of a shard are open.
//!
//! A letter is open from the commit that writes it until the one in which its record has its effects after all, by a redrive or by
//! a copy, or in which an operator discards it. Its id is the same for each time that its record fails, and follows from it.

mod letter;

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::EventId;
use crate::state::{RUNTIME_NAME, ScopeKey, Unreadable, decode, encode, entry_suffix};

pub use letter::{Compatibility, Letter};
pub(crate) use letter::{Round, write};

/// The map that open letters lie in.
pub(crate) const LETTERS: &str = "letters";
/// The most earlier rounds that a letter tells of.
pub(crate) const MOST_ROUNDS: usize = 20;

/// What is kept of a letter while it is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// How many times its record failed for good.
    pub round: u32,
    /// The handler's name; empty where no handler takes the record.
    pub handler: String,
    /// When it was written, in milliseconds since the epoch.
    pub since: i64,
    /// Each earlier round, as it stands in the letter.
    pub history: Vec<String>,
}

impl Open {
    pub(crate) fn to_bytes(&self) -> Bytes {
        encode(self).expect("a struct of plain parts can be written").into()
    }

    /// Reads what lies in state.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        decode(bytes)
    }
}

/// Whether a state entry of a service is that of an open letter.
pub fn is_open(key: &[u8]) -> bool {
    ScopeKey::parse(key).is_some_and(|place| place.handler == RUNTIME_NAME && place.name == LETTERS)
}

/// What names an open letter in state.
pub(crate) fn letter_suffix(id: EventId) -> Bytes {
    entry_suffix(LETTERS, &id.to_text())
}

/// The open letters of one shard.
#[derive(Debug, Default)]
pub(crate) struct Letters(HashMap<EventId, Open, foldhash::fast::RandomState>);

impl Letters {
    /// Whether there is any. Without one, no unit has to know its letter's id.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, id: EventId) -> Option<&Open> {
        self.0.get(&id)
    }

    /// A letter was written, or written again.
    pub(crate) fn open(&mut self, id: EventId, open: Open) {
        self.0.insert(id, open);
    }

    /// A letter is open no more.
    pub(crate) fn close(&mut self, id: EventId) {
        self.0.remove(&id);
    }
}
