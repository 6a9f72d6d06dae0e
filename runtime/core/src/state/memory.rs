//! The newest state of a shard: what completed units wrote and is not committed yet, and a bounded part of what is.

use std::hash::BuildHasher;

use bytes::Bytes;
use hashbrown::HashTable;

use crate::planted::{Bug, is_planted};
use crate::ports::{Change, KeyRange};
use crate::state::{Ordered, own, runtime_id, state_key};
use crate::timers;

/// Roughly what an entry costs beside its bytes: its place, the handles and counters of its byte strings, and its share of
/// what its key costs, which most entries have to themselves.
const ENTRY_OVERHEAD: usize = 280;
/// The number of a commit before all others: of values that were read and not written.
const READ: u64 = 0;

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
    /// The number of the commit that this value is part of, or [`READ`].
    commit: u64,
}

/// All that is held of one key of one handler, by the part of the state key that names the cell or entry.
#[derive(Debug)]
struct KeyState {
    id: StateId,
    entries: Ordered<Held>,
    /// The sweep in whose time the state was last touched.
    touched: u64,
}

/// Keys and their states. A state stays at its place for as long as it holds an entry, so that what waits for a commit can
/// name it by its place: finding a key costs more than everything else here.
#[derive(Debug, Default)]
struct States {
    /// The places, found by their keys.
    places: HashTable<usize>,
    hasher: foldhash::fast::RandomState,
    kept: Vec<KeyState>,
    free: Vec<usize>,
}

impl States {
    fn place(&self, id: &StateId) -> Option<usize> {
        self.places.find(self.hasher.hash_one(id), |place| self.kept[*place].id == *id).copied()
    }

    /// The place of a key, a new one if need be. What is kept owns its bytes: the caller's key is a view on a whole chunk of
    /// the log, which would stay in memory for as long as the key does.
    fn keep(&mut self, id: &StateId) -> usize {
        if let Some(place) = self.place(id) {
            return place;
        }
        let id = StateId { handler: id.handler, key: Bytes::copy_from_slice(&id.key) };
        let hash = self.hasher.hash_one(&id);
        let state = KeyState { id, entries: Ordered::default(), touched: 0 };
        let place = if let Some(place) = self.free.pop() {
            self.kept[place] = state;
            place
        } else {
            self.kept.push(state);
            self.kept.len() - 1
        };
        let Self { places, hasher, kept, .. } = self;
        places.insert_unique(hash, place, |place| hasher.hash_one(&kept[*place].id));
        place
    }

    /// Gives a place back whose state holds nothing any more.
    fn forget(&mut self, place: usize) {
        let hash = self.hasher.hash_one(&self.kept[place].id);
        if let Ok(found) = self.places.find_entry(hash, |found| *found == place) {
            found.remove();
        }
        self.kept[place].id.key = Bytes::new();
        self.free.push(place);
    }
}

/// An entry, by the place of its key and the part of the state key that names it.
type EntryId = (usize, Bytes);

/// One shard's state in memory. Values in it win over committed ones.
#[derive(Debug)]
pub(crate) struct Memory {
    states: States,
    /// What the commit being gathered will write, each entry once.
    dirty: Vec<EntryId>,
    /// What the commit under way removes.
    removed: Vec<EntryId>,
    /// The number of the commit being gathered, from 1.
    commit: u64,
    /// The number of the last commit that is durable: values up to it are clean, they are what the commit port would answer.
    durable: u64,
    dirty_bytes: usize,
    /// Bytes of values that the commit under way writes and nobody has written since.
    committing_bytes: usize,
    clean_bytes: usize,
    sweep: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            states: States::default(),
            dirty: Vec::new(),
            removed: Vec::new(),
            commit: READ + 1,
            durable: READ,
            dirty_bytes: 0,
            committing_bytes: 0,
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
    pub(crate) fn get(&mut self, id: &StateId, suffix: &[u8]) -> Option<Option<&Bytes>> {
        let sweep = self.sweep;
        let place = self.states.place(id)?;
        let state = &mut self.states.kept[place];
        state.touched = sweep;
        state.entries.get(suffix).map(|held| held.value.as_ref())
    }

    /// Remembers what the commit port answered for an entry.
    pub(crate) fn remember(&mut self, id: &StateId, suffix: Bytes, value: Option<Bytes>) {
        let place = self.states.keep(id);
        let state = &mut self.states.kept[place];
        state.touched = self.sweep;
        if state.entries.get(&suffix).is_none() {
            let bytes = cost(&suffix, value.as_ref());
            state.entries.insert(suffix, Held { value, commit: READ });
            self.clean_bytes += bytes;
        }
    }

    /// What memory holds of a range of one key's entries, in order; `None` values hide committed ones.
    pub(crate) fn range(&self, id: &StateId, range: &KeyRange) -> Vec<(Bytes, Option<Bytes>)> {
        let place = self.states.place(id).filter(|_| !range.is_empty());
        let Some(state) = place.map(|place| &self.states.kept[place]) else { return Vec::new() };
        state.entries.range(range).map(|(suffix, held)| (suffix.clone(), held.value.clone())).collect()
    }

    /// Takes over what a completed unit wrote.
    pub(crate) fn write(&mut self, id: &StateId, writes: Ordered<Option<Bytes>>) {
        if writes.is_empty() {
            return;
        }
        let place = self.states.keep(id);
        let state = &mut self.states.kept[place];
        state.touched = self.sweep;
        for (suffix, value) in writes {
            self.dirty_bytes += cost(&suffix, value.as_ref());
            if let Some(held) = state.entries.get_mut(&suffix) {
                let bytes = cost(&suffix, held.value.as_ref());
                if held.commit == self.commit {
                    self.dirty_bytes -= bytes;
                } else {
                    if held.commit <= self.durable {
                        self.clean_bytes -= bytes;
                    } else if held.value.is_some() {
                        self.committing_bytes -= bytes;
                    }
                    self.dirty.push((place, suffix));
                }
                *held = Held { value, commit: self.commit };
            } else {
                self.dirty.push((place, suffix.clone()));
                state.entries.insert(suffix, Held { value, commit: self.commit });
            }
        }
    }

    /// Bytes that wait to be committed.
    pub(crate) const fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// Freezes what was written for a commit: at most one change for each entry, with its newest value.
    pub(crate) fn freeze<'s>(&mut self, handler_name: impl Fn(usize) -> &'s str) -> Vec<Change> {
        debug_assert!(self.removed.is_empty() && self.committing_bytes == 0, "one commit at a time");
        let mut changes = Vec::with_capacity(self.dirty.len());
        for (place, suffix) in self.dirty.drain(..) {
            let state = &self.states.kept[place];
            let key = state_key(handler_name(state.id.handler), &state.id.key, &suffix);
            let value = state.entries.get(&suffix).and_then(|held| held.value.as_ref().map(own));
            if value.is_some() {
                self.committing_bytes += cost(&suffix, value.as_ref());
            } else {
                self.removed.push((place, suffix));
                if is_planted(Bug::RemovalForgotten) {
                    continue;
                }
            }
            changes.push(Change { key, value });
        }
        self.dirty_bytes = 0;
        self.commit += 1;
        changes
    }

    /// The frozen commit is durable: its values are clean unless they were written again since. At most about
    /// `cache_bytes` of clean values stay.
    pub(crate) fn committed(&mut self, cache_bytes: usize) {
        self.durable = self.commit - 1;
        self.clean_bytes += std::mem::take(&mut self.committing_bytes);
        for (place, suffix) in self.removed.drain(..) {
            let state = &mut self.states.kept[place];
            if state.entries.get(&suffix).is_some_and(|held| held.commit == self.durable) {
                state.entries.remove(&suffix);
                if state.entries.is_empty() {
                    self.states.forget(place);
                }
            }
        }
        self.drop_own();
        if self.clean_bytes > cache_bytes {
            self.evict();
        }
        if self.clean_bytes > cache_bytes {
            self.evict();
        }
    }

    /// Drops clean values of the runtime's own: they are written often and hardly ever read, and take no room from what handlers read.
    fn drop_own(&mut self) {
        self.drop_clean(&runtime_id(Bytes::new()));
        self.drop_clean(&timers::all());
    }

    fn drop_clean(&mut self, id: &StateId) {
        let Some(place) = self.states.place(id) else { return };
        let (durable, state) = (self.durable, &mut self.states.kept[place]);
        let clean = state.entries.iter().filter(|(_, held)| held.commit <= durable);
        let bytes: usize = clean.map(|(suffix, held)| cost(suffix, held.value.as_ref())).sum();
        state.entries.retain(|held| held.commit > durable);
        self.clean_bytes = self.clean_bytes.saturating_sub(bytes);
        if state.entries.is_empty() {
            self.states.forget(place);
        }
    }

    /// Drops clean values that were not touched since the last eviction.
    fn evict(&mut self) {
        let (sweep, mut kept) = (self.sweep, 0);
        for place in 0..self.states.kept.len() {
            let state = &mut self.states.kept[place];
            if state.entries.is_empty() {
                continue;
            }
            if state.touched < sweep {
                state.entries.retain(|held| held.commit > self.durable);
            }
            let clean = state.entries.iter().filter(|(_, held)| held.commit <= self.durable);
            kept += clean.map(|(suffix, held)| cost(suffix, held.value.as_ref())).sum::<usize>();
            if state.entries.is_empty() {
                self.states.forget(place);
            }
        }
        self.clean_bytes = kept;
        self.sweep += 1;
    }
}

#[cfg(test)]
mod tests;
