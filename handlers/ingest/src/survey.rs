//! The first pass over an input: can all of it be read, and where do its invoices end?

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use tidemill::code::Coded;

use crate::input::Input;

/// What is known of an input before anything of it is published.
///
/// An invoice ends where its lines stop being contiguous, except for the few that go on later: only those are kept by name. To
/// find them, the hash of each invoice that ended is kept while the pass lasts. Two invoices of one hash cost an entry, never a
/// wrong answer: the second is kept by name, with the right place of its end.
pub struct Survey {
    pub(crate) input: Input,
    pub(crate) identity: String,
    pub(crate) scattered: BTreeMap<String, Scattered>,
    pub(crate) lines: u64,
    invoices: u64,
}

/// An invoice whose lines lie in several pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scattered {
    /// The number of the line with which its last piece begins.
    pub(crate) last_piece: u64,
    /// How many lines its published pieces have.
    pub(crate) published: i64,
}

impl Survey {
    /// Reads the whole input once. TM-0201 when it cannot be read to its end, TM-0202 when it has no line or not the columns
    /// that are needed.
    pub fn of(input: Input) -> Result<Self, Coded> {
        let mut lines = input.open()?;
        let mut pieces = Pieces::default();
        let mut count = 0;
        while let Some(numbered) = lines.next()? {
            count += 1;
            if let Ok(line) = &numbered.line {
                pieces.see(line.invoice, numbered.number);
            }
        }
        if count == 0 {
            return Err(input.unusable("has a header and no line"));
        }
        let invoices = pieces.ended.len() as u64;
        Ok(Self { identity: lines.identity(), scattered: pieces.scattered, lines: count, invoices, input })
    }

    /// How many lines the input has, bad ones included.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// About how many invoices the input has: enough to foretell how much work there is.
    pub fn invoices(&self) -> u64 {
        self.invoices
    }
}

/// Finds the invoices that go on after another one began.
#[derive(Default)]
struct Pieces {
    current: String,
    ended: HashSet<u64, FixedState>,
    scattered: BTreeMap<String, Scattered>,
}

impl Pieces {
    fn see(&mut self, invoice: &str, number: u64) {
        if invoice == self.current {
            return;
        }
        let hasher = FixedState::default();
        self.ended.insert(hasher.hash_one(&self.current));
        if self.ended.contains(&hasher.hash_one(invoice)) {
            self.scattered.entry(invoice.to_owned()).or_default().last_piece = number;
        }
        self.current.clear();
        self.current.push_str(invoice);
    }
}

#[cfg(test)]
mod tests;
