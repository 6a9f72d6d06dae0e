//! Entries of an ordered map.

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::handler::HandlerError;
use crate::ports::KeyRange;
use crate::state::{Map, MapKey, decode, map_suffix};

/// The entries of one map under the key of the record.
pub struct Entries<'c, 'a, K, V> {
    cx: &'c mut Context<'a>,
    map: Map<K, V>,
}

impl<'a> Context<'a> {
    /// The entries of a map of this key.
    pub fn map<K: MapKey, V>(&mut self, map: Map<K, V>) -> Entries<'_, 'a, K, V> {
        Entries { cx: self, map }
    }
}

impl<K: MapKey, V> Entries<'_, '_, K, V> {
    fn suffix(&self, key: &K) -> Bytes {
        let mut suffix = map_suffix(self.map.name());
        key.encode(&mut suffix);
        suffix.into()
    }

    /// Removes an entry. One that is not there is fine.
    pub fn remove(&mut self, key: &K) {
        let suffix = self.suffix(key);
        self.cx.write(suffix, None);
    }

    /// The bounds of a range of keys as bounds of state keys inside this map.
    fn key_range(&self, range: &impl RangeBounds<K>) -> KeyRange {
        let whole = KeyRange::prefix(map_suffix(self.map.name()).into());
        let bound = |bound: Bound<&K>, otherwise: Bound<Bytes>| match bound {
            Bound::Included(key) => Bound::Included(self.suffix(key)),
            Bound::Excluded(key) => Bound::Excluded(self.suffix(key)),
            Bound::Unbounded => otherwise,
        };
        KeyRange { start: bound(range.start_bound(), whole.start), end: bound(range.end_bound(), whole.end) }
    }

    /// Removes all entries.
    pub async fn clear(&mut self) -> Result<(), HandlerError> {
        let range = self.key_range(&..);
        for (suffix, _) in self.cx.read_range(range, usize::MAX).await? {
            self.cx.write(suffix, None);
        }
        Ok(())
    }
}

impl<K: MapKey, V: Serialize> Entries<'_, '_, K, V> {
    /// Sets an entry.
    pub fn insert(&mut self, key: &K, value: &V) {
        let suffix = self.suffix(key);
        match self.cx.unit.home.env.encoded(value) {
            Ok(bytes) => self.cx.write(suffix, Some(bytes)),
            Err(error) => {
                let message = format!("the value for map {} cannot be written: {error}", self.map.name());
                self.cx.fail(HandlerError::permanent(message));
            }
        }
    }
}

impl<K: MapKey, V: DeserializeOwned> Entries<'_, '_, K, V> {
    /// The value of an entry.
    pub async fn get(&mut self, key: &K) -> Result<Option<V>, HandlerError> {
        let suffix = self.suffix(key);
        self.cx.read(self.map.name(), suffix).await
    }

    /// The entries of a range of keys, in key order. `..` reads the whole map: know how large it can get, or use
    /// [`Entries::first`].
    pub async fn range(&mut self, range: impl RangeBounds<K>) -> Result<Vec<(K, V)>, HandlerError> {
        self.first(range, usize::MAX).await
    }

    /// The first `limit` entries of a range of keys, in key order.
    pub async fn first(&mut self, range: impl RangeBounds<K>, limit: usize) -> Result<Vec<(K, V)>, HandlerError> {
        let range = self.key_range(&range);
        let skip = map_suffix(self.map.name()).len();
        let entries = self.cx.read_range(range, limit).await?;
        let mut read = Vec::with_capacity(entries.len());
        for (suffix, value) in entries {
            let key = K::decode(&suffix[skip..]).ok_or(crate::state::Unreadable::key());
            let key = self.cx.readable(self.map.name(), key)?;
            read.push((key, self.cx.readable(self.map.name(), decode(&value))?));
        }
        Ok(read)
    }
}
