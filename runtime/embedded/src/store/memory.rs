//! A store in memory: the same meaning without a disk.

use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use tidemill_core::code::Coded;
use tidemill_core::ports::{Change, Durability, Entry, KeyRange, Store};

use super::within_limits;

/// What there is, found by its key, and the order of the keys beside it: nearly every write is to a key that is there, and
/// an ordered map alone would compare it with a dozen others to find it.
#[derive(Default)]
struct Entries {
    values: HashMap<Bytes, Bytes, foldhash::fast::RandomState>,
    order: BTreeSet<Bytes>,
}

impl Entries {
    fn entry(&self, key: &Bytes) -> Entry {
        (key.clone(), self.values[key].clone())
    }
}

/// Keys and values share their bytes with those who wrote and read them.
#[derive(Default)]
pub(super) struct Memory {
    entries: RwLock<Entries>,
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounds(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (range.start.as_ref().map(AsRef::as_ref), range.end.as_ref().map(AsRef::as_ref))
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        Ok(self.read().values.get(key).cloned())
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let entries = self.read();
        let keys = entries.order.range::<[u8], _>(bounds(range)).take(limit);
        Ok(keys.map(|key| entries.entry(key)).collect())
    }

    fn last(&self, range: &KeyRange) -> Result<Option<Entry>, Coded> {
        if range.is_empty() {
            return Ok(None);
        }
        let entries = self.read();
        let last = entries.order.range::<[u8], _>(bounds(range)).next_back();
        Ok(last.map(|key| entries.entry(key)))
    }

    fn apply(&self, changes: Vec<Change>, _: Durability) -> Result<(), Coded> {
        within_limits(&changes)?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let Entries { values, order } = &mut *entries;
        for Change { key, value } in changes {
            let Some(value) = value else {
                if values.remove(&key).is_some() {
                    order.remove(&key);
                }
                continue;
            };
            match values.entry(key) {
                Place::Occupied(mut found) => *found.get_mut() = value,
                Place::Vacant(free) => {
                    order.insert(free.key().clone());
                    free.insert(value);
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Coded> {
        Ok(())
    }
}
