//! Progress: which records of a partition are done.

use std::collections::BTreeSet;

use crate::headers::{read_varint, write_varint};

/// Which records of one partition are done: all before `next` except those that are listed as not done.
///
/// Offsets that the log does not have (compaction, transaction markers) are never taken and so cost nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    next: u64,
    undone: BTreeSet<u64>,
}

impl Progress {
    /// Everything before `next` is done.
    pub const fn starting_at(next: u64) -> Self {
        Self { next, undone: BTreeSet::new() }
    }

    /// One past the newest record taken.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Where a new owner has to begin reading: the oldest record that is not done.
    pub fn resume_at(&self) -> u64 {
        self.undone.first().copied().unwrap_or(self.next)
    }

    /// How many taken records are not done.
    pub fn undone(&self) -> usize {
        self.undone.len()
    }

    /// Those of them, in their order.
    pub fn undone_offsets(&self) -> impl Iterator<Item = u64> {
        self.undone.iter().copied()
    }

    /// Whether the record at `offset` is done already.
    pub fn is_done(&self, offset: u64) -> bool {
        offset < self.next && !self.undone.contains(&offset)
    }

    /// Takes the record at `offset`, which is not done. Taking one again (after a restart) changes nothing.
    pub fn take(&mut self, offset: u64) {
        if offset >= self.next {
            self.next = offset + 1;
            self.undone.insert(offset);
        }
    }

    /// The record at `offset`, taken before, is done.
    pub fn done(&mut self, offset: u64) {
        self.undone.remove(&offset);
    }

    /// Takes the record at `offset` and has it done at once.
    pub fn take_done(&mut self, offset: u64) {
        if offset >= self.next {
            self.next = offset + 1;
        } else {
            self.undone.remove(&offset);
        }
    }

    /// Every record before `next` was taken: the offsets between hold none. Tells whether that changed anything.
    pub fn pass(&mut self, next: u64) -> bool {
        let moves = next > self.next;
        self.next = self.next.max(next);
        moves
    }

    /// The log has no records from `from` up to `to`, which is left out: none of them will ever be done. Tells whether that
    /// changed anything.
    pub fn skip(&mut self, from: u64, to: u64) -> bool {
        let before = self.undone.len();
        if self.undone.range(from..to).next().is_some() {
            self.undone.retain(|offset| !(from..to).contains(offset));
        }
        self.undone.len() < before
    }

    /// The record at `offset` is done, whatever is known of those before it: from `next` on they count as not done, and the
    /// log will show which of them are there. For adapters that keep a trace of each single unit, oldest trace first.
    pub fn done_ahead(&mut self, offset: u64) {
        self.undone.extend(self.next..offset);
        self.take_done(offset);
    }

    /// Appends the progress in its stored form: `next`, then how far each undone offset lies from the one before it, the
    /// first from `next` downwards, as varints.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let varint = |into: &mut Vec<u8>, value: u64| {
            write_varint(into, usize::try_from(value).expect("64-bit machine"));
        };
        varint(into, self.next);
        let mut above = self.next;
        for offset in self.undone.iter().rev() {
            varint(into, above - offset);
            above = *offset;
        }
    }

    /// Reads the stored form. `None` for bytes that no progress encodes to.
    pub fn decode(mut from: &[u8]) -> Option<Self> {
        let next = read_varint(&mut from)? as u64;
        let mut undone = BTreeSet::new();
        let mut above = next;
        while !from.is_empty() {
            let distance = read_varint(&mut from)? as u64;
            above = above.checked_sub(distance).filter(|_| distance > 0)?;
            undone.insert(above);
        }
        Some(Self { next, undone })
    }
}

#[cfg(test)]
mod tests;
