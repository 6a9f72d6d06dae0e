//! How many copies had no effects: a number for each handler, which moves in the commit in which a copy's record is done.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::lock::Mutex;

use crate::ports::{Entry, KeyRange};
use crate::state::{RUNTIME_NAME, ScopeKey, Unreadable, decode, encode, entry_suffix, map_suffix, state_key};

/// The map that the numbers lie in, each under the name of its handler.
pub(crate) const COPIES: &str = "copies";

/// How many copies of a shard's events had no effects.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    by_handler: BTreeMap<Arc<str>, u64>,
    turn: Rc<Mutex<()>>,
}

impl Copies {
    /// Copies of a shard are counted one after the other. What is written is the number itself, and where units commit by themselves,
    /// two of them at once would both write the same. Who has the turn keeps it until its commit is answered.
    pub(crate) fn turn(&self) -> Rc<Mutex<()>> {
        Rc::clone(&self.turn)
    }

    /// How many there are of a handler with one more.
    pub(crate) fn one_more(&self, handler: &str) -> u64 {
        self.by_handler.get(handler).map_or(1, |count| count + 1)
    }

    /// So many there are of a handler from now on.
    pub(crate) fn set(&mut self, handler: Arc<str>, count: u64) {
        self.by_handler.insert(handler, count);
    }

    /// Takes in what was found in state. `None` where that cannot be read.
    pub(crate) fn take(&mut self, handler: &[u8], value: &[u8]) -> Option<()> {
        let handler = std::str::from_utf8(handler).ok()?;
        self.set(handler.into(), decode(value).ok()?);
        Some(())
    }
}

/// The entry that says how many copies of a handler's events had no effects.
pub(crate) fn copies_entry(handler: &str, count: u64) -> (Bytes, Bytes) {
    let value = encode(&count).expect("a number can be written");
    (entry_suffix(COPIES, handler.as_bytes()), value.into())
}

/// Where in a shard's state it stands how many copies had no effects.
pub fn copies_range() -> KeyRange {
    KeyRange::prefix(state_key(RUNTIME_NAME, &[], &map_suffix(COPIES)))
}

/// A handler, and how many copies of its events had no effects, as an entry in that range of a shard's state says.
pub fn copies((key, value): &Entry) -> Result<(String, u64), Unreadable> {
    let handler = ScopeKey::parse(key).and_then(|place| place.entry).and_then(|entry| std::str::from_utf8(entry).ok());
    Ok((handler.ok_or_else(Unreadable::key)?.to_owned(), decode(value)?))
}
