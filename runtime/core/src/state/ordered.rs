//! An ordered map that is a sorted vector while it is small: most keys have a cell or two, and a tree's first node alone
//! would take more memory than they do.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::ports::KeyRange;

/// The most entries of a vector.
const SMALL: usize = 24;

/// Values by key, in the byte order of the keys.
#[derive(Debug)]
pub(crate) enum Ordered<V> {
    /// Sorted by key.
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
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Small(entries) => entries.is_empty(),
            Self::Large(entries) => entries.is_empty(),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&V> {
        match self {
            Self::Small(entries) => find(entries, key).ok().map(|place| &entries[place].1),
            Self::Large(entries) => entries.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        match self {
            Self::Small(entries) => find(entries, key).ok().map(|place| &mut entries[place].1),
            Self::Large(entries) => entries.get_mut(key),
        }
    }

    pub(crate) fn insert(&mut self, key: Bytes, value: V) {
        match self {
            Self::Small(entries) => match find(entries, &key) {
                Ok(place) => entries[place].1 = value,
                Err(_) if entries.len() == SMALL => {
                    let mut tree: BTreeMap<Bytes, V> = entries.drain(..).collect();
                    tree.insert(key, value);
                    *self = Self::Large(tree);
                }
                Err(place) => {
                    if entries.is_empty() {
                        // Left to itself, a vector begins with room for four.
                        entries.reserve_exact(1);
                    }
                    entries.insert(place, (key, value));
                }
            },
            Self::Large(entries) => {
                entries.insert(key, value);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        match self {
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
            Self::Large(_) => *self = Self::default(),
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        match self {
            Self::Small(entries) => entries.retain(|(_, value)| keep(value)),
            Self::Large(entries) => entries.retain(|_, value| keep(value)),
        }
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = (&Bytes, &V)> + '_> {
        match self {
            Self::Small(entries) => Box::new(entries.iter().map(|(key, value)| (key, value))),
            Self::Large(entries) => Box::new(entries.iter()),
        }
    }

    /// The entries whose key lies in the range, which is not empty.
    pub(crate) fn range(&self, range: &KeyRange) -> Box<dyn Iterator<Item = (&Bytes, &V)> + '_> {
        match self {
            Self::Small(entries) => {
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
            Self::Large(entries) => Box::new(entries.range((range.start.clone(), range.end.clone()))),
        }
    }
}

impl<V> IntoIterator for Ordered<V> {
    type Item = (Bytes, V);
    type IntoIter = std::vec::IntoIter<(Bytes, V)>;

    fn into_iter(self) -> Self::IntoIter {
        match self {
            Self::Small(entries) => entries.into_iter(),
            Self::Large(entries) => entries.into_iter().collect::<Vec<_>>().into_iter(),
        }
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
