//! Timers: events that a key of a handler sends to itself, for later.
//!
//! They lie in state, in the order in which they are due. Here are the next of them, and whose they are; what lies behind is read when
//! these have fired, so a million that wait take a disk and no memory.

mod entry;

use std::collections::BTreeMap;

use crate::lane::LaneId;
use crate::time::Timestamp;

pub use entry::{Pending, Timer, pending, range};
pub(crate) use entry::{When, all, name_suffix, owner, range_behind, suffixes_behind, when};

/// The next timers, as they were read: those of one page, and whether there are more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) timers: Vec<(When, LaneId)>,
    pub(crate) is_last: bool,
}

/// The next timers of one shard.
#[derive(Debug)]
pub(crate) struct Timers {
    /// How many are read at once: twice as many are in memory at the most, and as many are due and wait for their lanes.
    page: usize,
    next: BTreeMap<When, LaneId>,
    /// Where what is known of ends: there are, or were, others behind it. None: all are known.
    end: Option<When>,
    /// Scheduled while a page is read, which may lie in it and were not there yet.
    meanwhile: Option<Vec<(When, LaneId)>>,
    /// How many are due and not done.
    taken: usize,
}

impl Timers {
    /// Those that were found when the shard was loaded, as the first page.
    pub(crate) fn found(page: usize, first: Page) -> Self {
        let mut timers = Self { page: page.max(1), next: BTreeMap::new(), end: None, meanwhile: None, taken: 0 };
        timers.turn_to(first);
        timers
    }

    /// A timer was scheduled.
    pub(crate) fn add(&mut self, when: When, lane: LaneId) {
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.push((when, lane.clone()));
        }
        if self.end.is_some_and(|end| when > end) {
            return;
        }
        self.next.insert(when, lane);
        if self.next.len() > 2 * self.page {
            let behind = *self.next.keys().nth(self.page).expect("there are more");
            drop(self.next.split_off(&behind));
            self.end = self.next.last_key_value().map(|(last, _)| *last);
        }
    }

    /// A timer was cancelled before it fired.
    pub(crate) fn remove(&mut self, when: When) {
        self.next.remove(&when);
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.retain(|(known, _)| *known != when);
        }
    }

    /// The next timer that is due: from here on it is taken. Not before those are done that were taken already, if they are many.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(When, LaneId)> {
        let first = self.next.first_entry().filter(|first| first.key().due <= now && self.taken < self.page)?;
        self.taken += 1;
        Some(first.remove_entry())
    }

    /// A timer that was taken is done, or was cancelled meanwhile.
    pub(crate) fn done(&mut self) {
        self.taken -= 1;
    }

    /// When the next is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.next.first_key_value().map(|(when, _)| when.due)
    }

    /// Whether any is due, or taken and not done.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.taken > 0 || self.next_due().is_some_and(|due| due <= now)
    }

    /// Whether there are any, or may be.
    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.end.is_none() && self.taken == 0
    }

    /// Behind which timer the next page begins, if it has to be read now.
    pub(crate) fn wanted(&self) -> Option<When> {
        self.end.filter(|_| self.next.is_empty() && self.meanwhile.is_none())
    }

    /// The next page is being read.
    pub(crate) fn reads(&mut self) {
        self.meanwhile = Some(Vec::new());
    }

    /// The next page was read.
    pub(crate) fn turn_to(&mut self, page: Page) {
        self.end = page.timers.last().map(|(when, _)| *when).filter(|_| !page.is_last);
        self.next.extend(page.timers);
        for (when, lane) in self.meanwhile.take().unwrap_or_default() {
            self.add(when, lane);
        }
    }
}

#[cfg(test)]
mod tests;
