use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Memory, StateId, States, cost};
use crate::ports::{Change, KeyRange};
use crate::state::Scope;

/// Bytes of clean values that may stay: about three entries.
const CACHE: usize = 3 * 400;

#[derive(Debug, Clone)]
enum Step {
    Write {
        key: u8,
        writes: Vec<(u8, Option<u8>)>,
    },
    Read {
        key: u8,
        suffix: u8,
    },
    /// A read that was answered before the entry was written, and comes in after.
    Late {
        key: u8,
        suffix: u8,
        value: Option<u8>,
    },
    /// Only entries from one suffix up to another.
    Range {
        key: u8,
        start: Bound<u8>,
        end: Bound<u8>,
    },
    Freeze,
    Commit,
    Unknown {
        applied: bool,
    },
}

fn bound() -> impl Strategy<Value = Bound<u8>> {
    prop_oneof![(0_u8..6).prop_map(Bound::Included), (0_u8..6).prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writes = vec((0_u8..6, any::<Option<u8>>()), 1..4);
    let late = (0_u8..4, 0_u8..6, any::<Option<u8>>());
    vec(
        prop_oneof![
            2 => late.prop_map(|(key, suffix, value)| Step::Late { key, suffix, value }),
            2 => (0_u8..4, bound(), bound()).prop_map(|(key, start, end)| Step::Range { key, start, end }),
            4 => (0_u8..4, writes).prop_map(|(key, writes)| Step::Write { key, writes }),
            4 => (0_u8..4, 0_u8..6).prop_map(|(key, suffix)| Step::Read { key, suffix }),
            2 => Just(Step::Freeze),
            2 => Just(Step::Commit),
            1 => any::<bool>().prop_map(|applied| Step::Unknown { applied }),
        ],
        1..120,
    )
}

type Values = BTreeMap<(u8, u8), Bytes>;

/// A memory, what is committed, and what the newest values are.
#[derive(Default)]
struct Model {
    memory: Memory,
    committed: Values,
    newest: Values,
    /// The changes of the commit under way, and the newest values when it was frozen.
    frozen: Option<(Vec<Change>, Values)>,
    /// The places that were written since the last commit was frozen.
    written: BTreeSet<(u8, u8)>,
}

/// Two keys of two handlers.
fn id(key: u8) -> StateId {
    StateId { handler: usize::from(key / 2), key: Bytes::from(vec![key % 2]) }
}

/// The place that a change is about.
fn place(change: &Change) -> (u8, u8) {
    let scope = |key: u8| Scope::key(&format!("handler-{}", key / 2), &[key % 2]);
    let key = (0..4).find(|key| change.key.starts_with(scope(*key).as_bytes())).expect("a key of ours");
    (key, *change.key.last().expect("a suffix"))
}

fn value(byte: u8) -> Bytes {
    Bytes::from(vec![byte; usize::from(byte)])
}

fn change(values: &mut Values, place: (u8, u8), value: Option<Bytes>) {
    match value {
        Some(value) => values.insert(place, value),
        None => values.remove(&place),
    };
}

/// The values of a key within a range of suffixes.
fn within(values: &Values, key: u8, range: (Bound<u8>, Bound<u8>)) -> Values {
    let found = values.iter().filter(|((found, suffix), _)| *found == key && range.contains(suffix));
    found.map(|(place, value)| (*place, value.clone())).collect()
}

impl Model {
    /// As a context reads: from memory, else what is committed, which memory remembers.
    fn read(&mut self, key: u8, suffix: u8) -> Option<Bytes> {
        if let Some(known) = self.memory.get(&id(key), &[suffix]) {
            return known.cloned();
        }
        let value = self.committed.get(&(key, suffix)).cloned();
        self.memory.remember(&id(key), Bytes::from(vec![suffix]), value.clone());
        value
    }

    /// As a context reads a range: committed entries, and over them what memory holds.
    fn range(&self, key: u8, range: (Bound<u8>, Bound<u8>)) -> Values {
        let owned = |bound: Bound<u8>| bound.map(|suffix| Bytes::from(vec![suffix]));
        let bounds = KeyRange { start: owned(range.0), end: owned(range.1) };
        let held = self.memory.range(&id(key), &bounds);
        assert!(held.is_sorted_by(|(left, _), (right, _)| left < right), "each entry once, in order");
        let mut values = within(&self.committed, key, range);
        for (suffix, value) in held {
            assert!(bounds.contains(&suffix));
            change(&mut values, (key, suffix[0]), value);
        }
        values
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write { key, writes } => {
                for (suffix, byte) in &writes {
                    self.written.insert((key, *suffix));
                    change(&mut self.newest, (key, *suffix), byte.map(value));
                }
                let write = |(suffix, byte): (u8, Option<u8>)| (Bytes::from(vec![suffix]), byte.map(value));
                self.memory.write(&id(key), writes.into_iter().map(write).collect());
            }
            Step::Read { key, suffix } => {
                assert_eq!(self.read(key, suffix), self.newest.get(&(key, suffix)).cloned());
            }
            Step::Late { key, suffix, value: byte } => {
                // What memory does not know, it may well be told.
                if self.memory.get(&id(key), &[suffix]).is_some() {
                    self.memory.remember(&id(key), Bytes::from(vec![suffix]), byte.map(value));
                }
            }
            Step::Range { key, start, end } => {
                assert_eq!(self.range(key, (start, end)), within(&self.newest, key, (start, end)));
            }
            Step::Freeze if self.frozen.is_none() => {
                let changes = self.memory.freeze(|handler| ["handler-0", "handler-1"][handler]);
                let places: BTreeSet<(u8, u8)> = changes.iter().map(place).collect();
                assert_eq!(places.len(), changes.len(), "one change for an entry");
                assert_eq!(places, std::mem::take(&mut self.written), "what was written, and nothing else");
                self.frozen = Some((changes, self.newest.clone()));
            }
            Step::Commit => {
                let Some((changes, values)) = self.frozen.take() else { return };
                self.apply(&changes, &values);
                self.memory.committed(CACHE);
                assert!(self.memory.clean_bytes <= CACHE);
            }
            Step::Unknown { applied } => {
                let Some((changes, values)) = self.frozen.take() else { return };
                if applied {
                    self.apply(&changes, &values);
                }
                self.memory = Memory::default();
                self.newest.clone_from(&self.committed);
                self.written.clear();
            }
            Step::Freeze => {}
        }
    }

    fn apply(&mut self, changes: &[Change], frozen: &Values) {
        for made in changes {
            change(&mut self.committed, place(made), made.value.clone());
        }
        assert_eq!(&self.committed, frozen, "a commit writes what was newest when it was frozen");
    }

    fn check_counts(&self) {
        let (mut clean, mut dirty) = (0, 0);
        for state in &self.memory.states.kept {
            for (suffix, held) in state.entries.iter() {
                let bytes = cost(suffix, held.value.as_ref());
                clean += if held.commit <= self.memory.durable { bytes } else { 0 };
                dirty += if held.commit == self.memory.commit { bytes } else { 0 };
            }
        }
        assert_eq!((self.memory.clean_bytes, self.memory.dirty_bytes()), (clean, dirty));
        let States { places, kept, free, .. } = &self.memory.states;
        assert_eq!(places.len() + free.len(), kept.len(), "a place is found by its key, or free");
    }
}

proptest! {
    /// Whatever is written, evicted, committed, or lost with a commit that ends unknown: a read sees the newest value.
    #[test]
    fn reads_see_the_newest_value(steps in steps()) {
        let mut model = Model::default();
        for step in steps {
            model.step(step);
            model.check_counts();
            let all = (Bound::Unbounded, Bound::Unbounded);
            for key in 0..4 {
                prop_assert_eq!(model.range(key, all), within(&model.newest, key, all));
            }
        }
    }
}

/// A view would hold the whole chunk of the log that the key came with for as long as the key is kept.
#[test]
fn a_key_that_is_kept_owns_its_bytes() {
    let chunk = Bytes::from(vec![7; 1 << 16]);
    let view = StateId { handler: 0, key: chunk.slice(10..12) };
    let mut memory = Memory::default();
    memory.write(&view, std::iter::once((Bytes::from_static(b"c"), Some(value(1)))).collect());
    let kept: Vec<&StateId> = memory.states.kept.iter().map(|state| &state.id).collect();
    assert_eq!(kept.len(), 1);
    assert!(kept.iter().all(|kept| **kept == view && kept.key.as_ptr() != view.key.as_ptr()));
}
