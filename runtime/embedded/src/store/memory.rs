//! A store in memory: the same meaning without a disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use tidemill_core::code::Coded;
use tidemill_core::ports::{Change, Durability, Entry, KeyRange, Store};

use super::within_limits;

/// Keys and values share their bytes with those who wrote and read them.
#[derive(Default)]
pub(super) struct Memory {
    entries: RwLock<BTreeMap<Bytes, Bytes>>,
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Bytes, Bytes>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounds(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (range.start.as_ref().map(AsRef::as_ref), range.end.as_ref().map(AsRef::as_ref))
}

fn shared((key, value): (&Bytes, &Bytes)) -> Entry {
    (key.clone(), value.clone())
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        Ok(self.read().get(key).cloned())
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.read().range::<[u8], _>(bounds(range)).take(limit).map(shared).collect())
    }

    fn last(&self, range: &KeyRange) -> Result<Option<Entry>, Coded> {
        if range.is_empty() {
            return Ok(None);
        }
        Ok(self.read().range::<[u8], _>(bounds(range)).next_back().map(shared))
    }

    fn apply(&self, changes: Vec<Change>, _: Durability) -> Result<(), Coded> {
        within_limits(&changes)?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for Change { key, value } in changes {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Coded> {
        Ok(())
    }
}
