//! An ordered map that is small while it holds little: most keys have a cell or two, and a tree's first node alone would take
//! more memory than they do.

use std::collections::BTreeMap;
use std::iter::Chain;
use std::ops::Bound;
use std::{option, slice, vec};

use bytes::Bytes;

use crate::ports::KeyRange;

/// The most entries of a vector.
const SMALL: usize = 24;

/// Values by key, in the byte order of the keys.
#[derive(Debug)]
pub(crate) enum Ordered<V> {
    /// One entry, in place: one look-up less.
    One((Bytes, V)),
    /// None or some, sorted by key.
    Small(Vec<(Bytes, V)>),
    /// More than fit into a small one; it stays a tree until it is cleared.
    Large(BTreeMap<Bytes, V>),
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

fn find<V>(entries: &[(Bytes, V)], key: &[u8]) -> Result<usize, usize> {
    entries.binary_search_by(|(found, _)| found.as_ref().cmp(key))
}

impl<V> Ordered<V> {
    /// The entries in a row, or the tree.
    fn row(&self) -> Result<&[(Bytes, V)], &BTreeMap<Bytes, V>> {
        match self {
            Self::One(entry) => Ok(slice::from_ref(entry)),
            Self::Small(entries) => Ok(entries),
            Self::Large(entries) => Err(entries),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self.row() {
            Ok(entries) => entries.is_empty(),
            Err(entries) => entries.is_empty(),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&V> {
        match self.row() {
            Ok(entries) => find(entries, key).ok().map(|place| &entries[place].1),
            Err(entries) => entries.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let entries = match self {
            Self::One(entry) => slice::from_mut(entry),
            Self::Small(entries) => entries,
            Self::Large(entries) => return entries.get_mut(key),
        };
        find(entries, key).ok().map(|place| &mut entries[place].1)
    }

    pub(crate) fn insert(&mut self, key: Bytes, value: V) {
        if let Some(found) = self.get_mut(&key) {
            *found = value;
            return;
        }
        match self {
            Self::Small(entries) if entries.is_empty() => *self = Self::One((key, value)),
            Self::One(_) => {
                let Self::One(first) = std::mem::take(self) else { unreachable!("matched above") };
                let mut entries = vec![first];
                let place = usize::from(entries[0].0 < key);
                entries.insert(place, (key, value));
                *self = Self::Small(entries);
            }
            Self::Small(entries) if entries.len() == SMALL => {
                let mut tree: BTreeMap<Bytes, V> = entries.drain(..).collect();
                tree.insert(key, value);
                *self = Self::Large(tree);
            }
            Self::Small(entries) => {
                let place = entries.partition_point(|(before, _)| *before < key);
                entries.insert(place, (key, value));
            }
            Self::Large(entries) => {
                entries.insert(key, value);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        match self {
            Self::One((only, _)) => {
                if *only == key {
                    self.clear();
                }
            }
            Self::Small(entries) => {
                if let Ok(place) = find(entries, key) {
                    entries.remove(place);
                }
            }
            Self::Large(entries) => {
                entries.remove(key);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Small(entries) => entries.clear(),
            Self::One(_) | Self::Large(_) => *self = Self::default(),
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        match self {
            Self::One((_, value)) => {
                if !keep(value) {
                    self.clear();
                }
            }
            Self::Small(entries) => entries.retain(|(_, value)| keep(value)),
            Self::Large(entries) => entries.retain(|_, value| keep(value)),
        }
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = (&Bytes, &V)> + '_> {
        match self.row() {
            Ok(entries) => Box::new(entries.iter().map(|(key, value)| (key, value))),
            Err(entries) => Box::new(entries.iter()),
        }
    }

    /// The entries whose key lies in the range, which is not empty.
    pub(crate) fn range(&self, range: &KeyRange) -> Box<dyn Iterator<Item = (&Bytes, &V)> + '_> {
        let entries = match self.row() {
            Ok(entries) => entries,
            Err(entries) => return Box::new(entries.range((range.start.clone(), range.end.clone()))),
        };
        let start = entries.partition_point(|(key, _)| match &range.start {
            Bound::Included(start) => key < start,
            Bound::Excluded(start) => key <= start,
            Bound::Unbounded => false,
        });
        let end = entries.partition_point(|(key, _)| match &range.end {
            Bound::Included(end) => key <= end,
            Bound::Excluded(end) => key < end,
            Bound::Unbounded => true,
        });
        Box::new(entries[start..end].iter().map(|(key, value)| (key, value)))
    }
}

impl<V> IntoIterator for Ordered<V> {
    type Item = (Bytes, V);
    type IntoIter = Chain<option::IntoIter<Self::Item>, vec::IntoIter<Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, more) = match self {
            Self::One(entry) => (Some(entry), Vec::new()),
            Self::Small(entries) => (None, entries),
            Self::Large(entries) => (None, entries.into_iter().collect()),
        };
        one.into_iter().chain(more)
    }
}

impl<V> FromIterator<(Bytes, V)> for Ordered<V> {
    fn from_iter<I: IntoIterator<Item = (Bytes, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests;
