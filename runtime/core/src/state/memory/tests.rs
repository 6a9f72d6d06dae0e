use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{CLEAN, Memory, StateId, cost};
use crate::ports::{Change, KeyRange};
use crate::state::Scope;

/// Bytes of clean values that may stay: about three entries.
const CACHE: usize = 3 * 400;

#[derive(Debug, Clone)]
enum Step {
    Write { key: u8, writes: Vec<(u8, Option<u8>)> },
    Read { key: u8, suffix: u8 },
    Freeze,
    Commit,
    Unknown { applied: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writes = vec((0_u8..6, any::<Option<u8>>()), 1..4);
    vec(
        prop_oneof![
            4 => (0_u8..3, writes).prop_map(|(key, writes)| Step::Write { key, writes }),
            4 => (0_u8..3, 0_u8..6).prop_map(|(key, suffix)| Step::Read { key, suffix }),
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
}

fn id(key: u8) -> StateId {
    StateId { handler: 0, key: Bytes::from(vec![key]) }
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

impl Model {
    /// As a context reads: from memory, else what is committed, which memory remembers.
    fn read(&mut self, key: u8, suffix: u8) -> Option<Bytes> {
        if let Some(known) = self.memory.get(&id(key), &[suffix]) {
            return known;
        }
        let value = self.committed.get(&(key, suffix)).cloned();
        self.memory.remember(&id(key), Bytes::from(vec![suffix]), value.clone());
        value
    }

    /// As a context reads a range: committed entries, and over them what memory holds.
    fn range(&self, key: u8) -> Values {
        let mut values: Values =
            self.committed.range((key, 0)..=(key, u8::MAX)).map(|(place, value)| (*place, value.clone())).collect();
        for (suffix, value) in self.memory.range(&id(key), &KeyRange::prefix(Bytes::new())) {
            change(&mut values, (key, suffix[0]), value);
        }
        values
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write { key, writes } => {
                for (suffix, byte) in &writes {
                    change(&mut self.newest, (key, *suffix), byte.map(value));
                }
                let write = |(suffix, byte): (u8, Option<u8>)| (Bytes::from(vec![suffix]), byte.map(value));
                self.memory.write(&id(key), writes.into_iter().map(write).collect());
            }
            Step::Read { key, suffix } => {
                assert_eq!(self.read(key, suffix), self.newest.get(&(key, suffix)).cloned());
            }
            Step::Freeze if self.frozen.is_none() => {
                let changes = self.memory.freeze(|_| Arc::from("handler"));
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
            }
            Step::Freeze => {}
        }
    }

    fn apply(&mut self, changes: &[Change], frozen: &Values) {
        let mut keys: Vec<&Bytes> = changes.iter().map(|change| &change.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), changes.len(), "one change for an entry");
        for made in changes {
            let skip = Scope::key("handler", &[0]).as_bytes().len();
            change(&mut self.committed, (made.key[skip - 1], made.key[skip]), made.value.clone());
        }
        assert_eq!(&self.committed, frozen, "a commit writes what was newest when it was frozen");
    }

    fn check_counts(&self) {
        let (mut clean, mut dirty) = (0, 0);
        for state in self.memory.states.values() {
            for (suffix, held) in state.entries.iter() {
                let bytes = cost(suffix, held.value.as_ref());
                clean += if held.commit == CLEAN { bytes } else { 0 };
                dirty += if held.commit == self.memory.commit { bytes } else { 0 };
            }
        }
        assert_eq!((self.memory.clean_bytes, self.memory.dirty_bytes()), (clean, dirty));
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
            for key in 0..3 {
                let newest: Values =
                    model.newest.range((key, 0)..=(key, u8::MAX)).map(|(place, value)| (*place, value.clone())).collect();
                prop_assert_eq!(model.range(key), newest);
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
    let kept: Vec<&StateId> = memory.states.keys().chain(memory.dirty.iter().map(|(id, _)| id)).collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|kept| **kept == view && kept.key.as_ptr() != view.key.as_ptr()));
}
