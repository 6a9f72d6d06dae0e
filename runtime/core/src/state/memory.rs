//! The newest state of a shard: what completed units wrote and is not committed yet, and a bounded part of what is.

use std::collections::HashMap;

use bytes::Bytes;

use crate::planted::{Bug, is_planted};
use crate::ports::{Change, KeyRange};
use crate::state::{Ordered, Scope};

/// Roughly what an entry costs beside its bytes: its place, the handles and counters of its two byte strings, and its share
/// of what its key costs, which most entries have to themselves.
const ENTRY_OVERHEAD: usize = 400;
/// The mark of a value that is what the commit port would answer.
const CLEAN: u64 = 0;

/// One key of one handler.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StateId {
    /// The handler's place in the service.
    pub(crate) handler: usize,
    /// The record key.
    pub(crate) key: Bytes,
}

/// A value and the commit it waits for.
#[derive(Debug)]
struct Held {
    value: Option<Bytes>,
    /// The number of the commit that this value is to be part of, or [`CLEAN`].
    commit: u64,
}

/// All that is held of one key of one handler, by the part of the state key that names the cell or entry.
#[derive(Debug, Default)]
struct KeyState {
    entries: Ordered<Held>,
    /// The sweep in whose time the state was last touched.
    touched: u64,
}

type States = HashMap<StateId, KeyState, foldhash::fast::RandomState>;

/// The state of a key, new if need be, and the key as it is kept. What is kept owns its bytes: the caller's key is a view on
/// a whole chunk of the log, which would stay in memory for as long as the key does.
fn keep<'a>(states: &'a mut States, id: &StateId) -> (StateId, &'a mut KeyState) {
    let kept = match states.get_key_value(id) {
        Some((kept, _)) => kept.clone(),
        None => StateId { handler: id.handler, key: Bytes::copy_from_slice(&id.key) },
    };
    let state = states.entry(kept.clone()).or_default();
    (kept, state)
}

/// One shard's state in memory. Values in it win over committed ones.
#[derive(Debug)]
pub(crate) struct Memory {
    states: States,
    /// What the commit being gathered will write, each entry once.
    dirty: Vec<(StateId, Bytes)>,
    /// What the commit under way writes.
    committing: Vec<(StateId, Bytes)>,
    /// The number of the commit being gathered, from 1.
    commit: u64,
    dirty_bytes: usize,
    clean_bytes: usize,
    sweep: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            states: HashMap::default(),
            dirty: Vec::new(),
            committing: Vec::new(),
            commit: CLEAN + 1,
            dirty_bytes: 0,
            clean_bytes: 0,
            sweep: 0,
        }
    }
}

fn cost(suffix: &Bytes, value: Option<&Bytes>) -> usize {
    ENTRY_OVERHEAD + suffix.len() + value.map_or(0, Bytes::len)
}

impl Memory {
    /// The newest value of an entry, if memory knows it: `Some(None)` is known to be absent.
    #[expect(clippy::option_option, reason = "whether it is known, and what is known, are two questions")]
    pub(crate) fn get(&mut self, id: &StateId, suffix: &[u8]) -> Option<Option<Bytes>> {
        let sweep = self.sweep;
        let state = self.states.get_mut(id)?;
        state.touched = sweep;
        state.entries.get(suffix).map(|held| held.value.clone())
    }

    /// Remembers what the commit port answered for an entry.
    pub(crate) fn remember(&mut self, id: &StateId, suffix: Bytes, value: Option<Bytes>) {
        let (_, state) = keep(&mut self.states, id);
        state.touched = self.sweep;
        if state.entries.get(&suffix).is_none() {
            let bytes = cost(&suffix, value.as_ref());
            state.entries.insert(suffix, Held { value, commit: CLEAN });
            self.clean_bytes += bytes;
        }
    }

    /// What memory holds of a range of one key's entries, in order; `None` values hide committed ones.
    pub(crate) fn range(&self, id: &StateId, range: &KeyRange) -> Vec<(Bytes, Option<Bytes>)> {
        let Some(state) = self.states.get(id).filter(|_| !range.is_empty()) else { return Vec::new() };
        state.entries.range(range).map(|(suffix, held)| (suffix.clone(), held.value.clone())).collect()
    }

    /// Takes over what a completed unit wrote.
    pub(crate) fn write(&mut self, id: &StateId, writes: Ordered<Option<Bytes>>) {
        if writes.is_empty() {
            return;
        }
        let (id, state) = keep(&mut self.states, id);
        state.touched = self.sweep;
        for (suffix, value) in writes {
            self.dirty_bytes += cost(&suffix, value.as_ref());
            if let Some(held) = state.entries.get_mut(&suffix) {
                let bytes = cost(&suffix, held.value.as_ref());
                if held.commit == CLEAN {
                    self.clean_bytes -= bytes;
                }
                if held.commit == self.commit {
                    self.dirty_bytes -= bytes;
                } else {
                    self.dirty.push((id.clone(), suffix));
                }
                *held = Held { value, commit: self.commit };
            } else {
                self.dirty.push((id.clone(), suffix.clone()));
                state.entries.insert(suffix, Held { value, commit: self.commit });
            }
        }
    }

    /// Bytes that wait to be committed.
    pub(crate) const fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// Freezes what was written for a commit: at most one change for each entry, with its newest value.
    pub(crate) fn freeze(&mut self, handler_name: impl Fn(usize) -> std::sync::Arc<str>) -> Vec<Change> {
        debug_assert!(self.committing.is_empty(), "one commit at a time");
        self.committing = std::mem::take(&mut self.dirty);
        self.dirty_bytes = 0;
        self.commit += 1;
        let value_of = |id: &StateId, suffix: &Bytes| {
            self.states.get(id).and_then(|state| state.entries.get(suffix)).and_then(|held| held.value.clone())
        };
        self.committing
            .iter()
            .map(|(id, suffix)| Change {
                key: Scope::key(&handler_name(id.handler), &id.key).with_suffix(suffix),
                value: value_of(id, suffix),
            })
            .filter(|change| change.value.is_some() || !is_planted(Bug::RemovalForgotten))
            .collect()
    }

    /// The frozen commit is durable: its values are clean unless they were written again since. At most about
    /// `cache_bytes` of clean values stay.
    pub(crate) fn committed(&mut self, cache_bytes: usize) {
        let commit = self.commit - 1;
        for (id, suffix) in std::mem::take(&mut self.committing) {
            let Some(state) = self.states.get_mut(&id) else { continue };
            let Some(held) = state.entries.get_mut(&suffix).filter(|held| held.commit == commit) else { continue };
            if held.value.is_some() {
                held.commit = CLEAN;
                self.clean_bytes += cost(&suffix, held.value.as_ref());
            } else {
                state.entries.remove(&suffix);
                if state.entries.is_empty() {
                    self.states.remove(&id);
                }
            }
        }
        if self.clean_bytes > cache_bytes {
            self.evict();
        }
        if self.clean_bytes > cache_bytes {
            self.evict();
        }
    }

    /// Drops clean values that were not touched since the last eviction.
    fn evict(&mut self) {
        let (sweep, mut kept) = (self.sweep, 0);
        self.states.retain(|_, state| {
            if state.touched < sweep {
                state.entries.retain(|held| held.commit != CLEAN);
            }
            kept += state
                .entries
                .iter()
                .filter(|(_, held)| held.commit == CLEAN)
                .map(|(suffix, held)| cost(suffix, held.value.as_ref()))
                .sum::<usize>();
            !state.entries.is_empty()
        });
        self.clean_bytes = kept;
        self.sweep += 1;
    }
}

#[cfg(test)]
mod tests;
