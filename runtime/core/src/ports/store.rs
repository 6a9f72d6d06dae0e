//! The store port: ordered bytes to bytes on this machine.

use std::ops::Bound;

use bytes::Bytes;

use crate::code::Coded;

/// A key and its value.
pub type Entry = (Bytes, Bytes);

/// One change of a state key or store key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// The new value; `None` removes the key.
    pub value: Option<Bytes>,
}

/// A range of keys in their byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where the range begins.
    pub start: Bound<Bytes>,
    /// Where it ends.
    pub end: Bound<Bytes>,
}

impl KeyRange {
    /// All keys.
    pub const fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: Bytes) -> Self {
        let end = successor(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { start: Bound::Included(prefix), end }
    }

    /// Whether the range holds `key`.
    pub fn contains(&self, key: &[u8]) -> bool {
        let after_start = match &self.start {
            Bound::Included(start) => key >= start.as_ref(),
            Bound::Excluded(start) => key > start.as_ref(),
            Bound::Unbounded => true,
        };
        let before_end = match &self.end {
            Bound::Included(end) => key <= end.as_ref(),
            Bound::Excluded(end) => key < end.as_ref(),
            Bound::Unbounded => true,
        };
        after_start && before_end
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
                start >= end
            }
            _ => false,
        }
    }
}

/// The first key that does not begin with `prefix` and lies behind all that do.
fn successor(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut key = prefix[..=last].to_vec();
    key[last] += 1;
    Some(key.into())
}

/// When a write has to reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Before the write is answered: it survives a crash of the machine.
    #[default]
    Synced,
    /// Handed to the operating system before the write is answered: it survives a crash of the process.
    Buffered,
}

/// An ordered map on this machine. Shared by threads.
///
/// Contract: a batch is applied whole or not at all, also across a crash; batches become durable in the order in which they
/// were applied; reads see every batch that was answered; a range comes in byte order. Beside a writer, each read sees every
/// batch whole or not at all, a scan of many entries too, and a read that begins after another one ended never goes back
/// behind a batch that the other saw.
pub trait Store: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Coded>;

    /// The first `limit` entries of a range in key order.
    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded>;

    /// The last entry of a range.
    fn last(&self, range: &KeyRange) -> Result<Option<Entry>, Coded>;

    /// Applies all changes at once. A later change of a key wins over an earlier one.
    fn apply(&self, changes: Vec<Change>, durability: Durability) -> Result<(), Coded>;

    /// Brings everything that was applied to the disk.
    fn sync(&self) -> Result<(), Coded>;
}
