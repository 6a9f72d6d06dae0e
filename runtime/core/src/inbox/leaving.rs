//! What of the inbox has to go from state.

use std::ops::Range;

use super::entry::Name;

/// Entries that are removed at once.
const REMOVED: usize = 512;

/// Entries that have to go.
#[derive(Debug)]
pub(super) enum Leaving {
    Parts(u64, Range<u64>),
    Pages(u64, Range<u64>),
    Singles(Vec<u128>),
}

impl Leaving {
    /// The next of them.
    pub(super) fn names(&self) -> Vec<Name> {
        match self {
            Self::Parts(bucket, numbers) => {
                let named = |number| Name::Part { bucket: *bucket, number };
                numbers.clone().take(REMOVED).map(named).collect()
            }
            Self::Pages(bucket, numbers) => {
                let named = |number| Name::Page { bucket: *bucket, number };
                numbers.clone().take(REMOVED).map(named).collect()
            }
            Self::Singles(ids) => ids.iter().rev().take(REMOVED).map(|id| Name::Single(*id)).collect(),
        }
    }

    /// So many are gone. Tells whether that was all.
    pub(super) fn shorten(&mut self, by: usize) -> bool {
        match self {
            Self::Parts(_, numbers) | Self::Pages(_, numbers) => {
                numbers.start += by as u64;
                numbers.is_empty()
            }
            Self::Singles(ids) => {
                ids.truncate(ids.len().saturating_sub(by));
                ids.is_empty()
            }
        }
    }
}
