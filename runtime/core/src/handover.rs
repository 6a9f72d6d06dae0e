//! A backfill: which records a service only catches up with, so that nothing leaves because of them, and where it goes on as ever.
//!
//! What says so lies in the state of each shard, and goes with the commit in which the last such record is done.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ports::Change;
use crate::progress::Progress;
use crate::state::{RUNTIME_NAME, ScopeKey, decode, encode, own_cell, state_key};

/// The cell that holds it.
pub(crate) const HANDOVER: &str = "handover";

/// What a shard catches up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// Of each topic, what is to be caught up with: the records that are done in this.
    pub until: BTreeMap<String, Progress>,
    /// The handler that catches up; records of others had their effects and are passed over. All do where it is none.
    pub handler: Option<String>,
    /// Whether handlers may call outside meanwhile.
    pub calls: bool,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is handled as ever.
    Live,
    /// It is handled, and what its handler emits does not leave.
    Muted {
        /// Whether that may call outside.
        calls: bool,
    },
    /// It had its effects.
    Passed,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    until: BTreeMap<String, serde_bytes::ByteBuf>,
    handler: Option<String>,
    calls: bool,
}

impl Handover {
    /// What writes it into the state of a shard.
    pub fn change(&self) -> Change {
        let encoded = |progress: &Progress| {
            let mut bytes = Vec::new();
            progress.encode(&mut bytes);
            serde_bytes::ByteBuf::from(bytes)
        };
        let until = self.until.iter().map(|(topic, progress)| (topic.clone(), encoded(progress))).collect();
        let stored = Stored { until, handler: self.handler.clone(), calls: self.calls };
        let value = encode(&stored).expect("a struct of plain parts can be written");
        Change { key: key(), value: Some(value.into()) }
    }

    /// Reads what lies in state. `None` for what is something else.
    pub fn read(value: &[u8]) -> Option<Self> {
        let Stored { until, handler, calls } = decode(value).ok()?;
        let until = until.into_iter().map(|(topic, progress)| Some((topic, Progress::decode(&progress)?)));
        Some(Self { until: until.collect::<Option<_>>()?, handler, calls })
    }

    /// What becomes of a record of the log that this handler takes.
    pub(crate) fn part(&self, topic: &str, offset: u64, handler: &str) -> Part {
        if self.until.get(topic).is_none_or(|until| !until.is_done(offset)) {
            return Part::Live;
        }
        match &self.handler {
            Some(other) if other != handler => Part::Passed,
            _ => Part::Muted { calls: self.calls },
        }
    }

    /// Whether a timer of this handler is muted that fires meanwhile.
    pub(crate) fn mutes(&self, handler: &str) -> bool {
        self.handler.as_ref().is_none_or(|catching_up| catching_up == handler)
    }

    /// Whether all of it is done. `progress` answers what is done of a topic; nothing for one that is no input any more.
    pub(crate) fn is_over<'p>(&self, progress: impl Fn(&str) -> Option<&'p Progress>) -> bool {
        let is_done = |(topic, until): (&String, &Progress)| {
            progress(topic).is_none_or(|progress| progress.resume_at() >= until.next())
        };
        self.until.iter().all(is_done)
    }
}

/// The state key under which it lies.
pub fn key() -> Bytes {
    state_key(RUNTIME_NAME, &[], &suffix())
}

/// Whether a state entry is that of a backfill.
pub fn is_own(key: &[u8]) -> bool {
    ScopeKey::parse(key).is_some_and(|place| place.handler == RUNTIME_NAME && place.name == HANDOVER)
}

/// What names it in the state.
pub(crate) fn suffix() -> Bytes {
    own_cell(HANDOVER)
}

#[cfg(test)]
mod tests;
