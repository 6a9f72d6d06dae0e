//! Records that end the process: how they are found, and given up, so that the rest goes on.
//!
//! Each shard leaves a mark in its state before it takes anything, and removes it when it is given up. Who finds a mark of another
//! life knows that the one before ended without that: it may be one record's fault. It then runs one unit at a time for a while, and
//! writes down which, and makes small commits after that, so that the fault cannot lie far behind what is durable. A record during
//! which two lives ended is the culprit: a kill from outside hardly meets the same one twice. All of this ends when what was there at
//! the start is done.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::record::{Position, TopicPartition};
use crate::state::{decode, encode, own_cell};

/// The cell that the mark lies in.
pub(crate) const GUARD: &str = "guard";
/// Units that run one at a time after one bad end, before commits are small.
const SINGLY: usize = 200;
/// Units of a small commit.
const FEW: usize = 256;
/// The most units that can lie between what is durable and what a shard does, in the best case for it: commits of some mebibytes
/// of the smallest records.
const FAR: u64 = 262_144;

/// What is being handled while units run one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Attempt {
    /// A record of the log.
    Record {
        /// Where it stands.
        topic: String,
        /// Where it stands.
        partition: u32,
        /// Where it stands.
        offset: u64,
    },
    /// A parked record, by its number.
    Parked(u64),
}

impl Attempt {
    pub(crate) fn of(position: &Position) -> Self {
        let TopicPartition { topic, partition } = &position.source;
        Self::Record { topic: topic.to_string(), partition: *partition, offset: position.offset }
    }
}

/// What a shard leaves in its state while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Whose it is: the same for as long as a worker lives.
    run: String,
    /// How many lives ended badly before.
    ends: u32,
    attempt: Option<Attempt>,
    /// What was under way when a life ended, until nothing is suspected any more.
    suspects: Vec<Attempt>,
    /// What ended two lives.
    culprits: Vec<Attempt>,
}

impl Mark {
    pub(crate) fn to_bytes(&self) -> Bytes {
        encode(self).expect("a struct of plain parts can be written").into()
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        decode(bytes).ok()
    }
}

/// What names the mark.
pub(crate) fn guard_suffix() -> Bytes {
    own_cell(GUARD)
}

/// Where the mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is none, and none is wanted.
    Off,
    /// Not written yet.
    Away,
    /// Being written.
    Writing,
    /// Written, and not durable yet; and whether it is in the commit under way.
    Written {
        frozen: bool,
    },
    Durable,
    /// Removed again.
    Removed,
}

/// What a shard may do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Leave this mark first. Where units run one at a time, it says which begins next.
    Write(Bytes),
    /// Begin no unit before something is durable.
    Wait,
    /// Begin so many units at most.
    Few(usize),
    /// Begin what it likes.
    Any,
    /// Begin one unit.
    One,
}

/// The guard of one shard.
#[derive(Debug)]
pub(crate) struct Guard {
    run: String,
    ends: u32,
    phase: Phase,
    is_removed: bool,
    /// Units until nothing is suspected any more.
    suspected: u64,
    /// Where each partition ended at the start.
    there: Vec<(TopicPartition, u64)>,
    /// Units begun since everything was durable.
    begun: usize,
    /// The unit that is to begin, and whether that is written down.
    next: Option<(Attempt, bool)>,
    /// Units that are still to run one at a time after one bad end.
    singly: usize,
    suspects: Vec<Attempt>,
    culprits: Vec<Attempt>,
}

impl Guard {
    /// No guard: the shard may do what it likes.
    pub(crate) fn off() -> Self {
        Self { phase: Phase::Off, ..Self::new("", None).0 }
    }

    /// A guard of a shard with this mark; and the culprits, as far as they are known.
    pub(crate) fn new(run: &str, mark: Option<Mark>) -> (Self, Vec<Attempt>) {
        let mut mark = mark.unwrap_or_default();
        if mark.run != run && !mark.run.is_empty() {
            mark.ends += 1;
            match mark.attempt {
                Some(attempt) if mark.suspects.contains(&attempt) => mark.culprits.push(attempt),
                attempt => mark.suspects.extend(attempt),
            }
        }
        let Mark { ends, suspects, culprits, .. } = mark;
        let guard = Self {
            run: run.to_owned(),
            ends,
            phase: Phase::Away,
            is_removed: false,
            suspected: FAR,
            there: Vec::new(),
            begun: 0,
            next: None,
            singly: SINGLY,
            suspects,
            culprits: culprits.clone(),
        };
        (guard, culprits)
    }

    /// Whether a life before ended badly: what is there now may have to do with it.
    pub(crate) const fn suspects(&self) -> bool {
        self.ends > 0
    }

    /// Whether units run one at a time.
    const fn is_careful(&self) -> bool {
        self.ends > 1 || self.ends == 1 && self.singly > 0
    }

    /// What was there at the start, and how many records before that may be handled again.
    pub(crate) fn suspect(&mut self, there: Vec<(TopicPartition, u64)>, undone: usize) {
        self.there = there;
        self.suspected = undone as u64 + if self.ends > 1 { 2 * FEW as u64 } else { FAR };
    }

    fn mark(&self, attempt: Option<Attempt>) -> Bytes {
        let (suspects, culprits) = (self.suspects.clone(), self.culprits.clone());
        Mark { run: self.run.clone(), ends: self.ends, attempt, suspects, culprits }.to_bytes()
    }

    /// What the shard may do. `is_clean`: everything it did is durable, and nothing is under way. `next`: how far each partition is.
    pub(crate) fn advise(&mut self, is_clean: bool, next: impl Fn(&TopicPartition) -> u64) -> Advice {
        match self.phase {
            Phase::Away => return Advice::Write(self.mark(None)),
            Phase::Writing | Phase::Written { .. } | Phase::Removed => return Advice::Wait,
            Phase::Off => return Advice::Any,
            Phase::Durable => {}
        }
        if !self.suspects() {
            return Advice::Any;
        }
        if is_clean {
            self.begun = 0;
        }
        let all_done = || self.there.iter().all(|(partition, end)| next(partition) >= *end);
        if self.suspected == 0 || is_clean && all_done() {
            self.ends = 0;
            self.next = None;
            self.suspects.clear();
            self.culprits.clear();
            return Advice::Write(self.mark(None));
        }
        if !self.is_careful() {
            return Advice::Few(FEW.saturating_sub(self.begun));
        }
        match &mut self.next {
            _ if !is_clean => Advice::Wait,
            Some((attempt, is_noted @ false)) => {
                *is_noted = true;
                let attempt = attempt.clone();
                Advice::Write(self.mark(Some(attempt)))
            }
            _ => Advice::One,
        }
    }

    /// Whether this unit may begin. Where units run one at a time, it has to be written down before.
    pub(crate) fn may_begin(&mut self, attempt: impl FnOnce() -> Attempt) -> bool {
        if !self.is_careful() || self.phase == Phase::Off {
            return true;
        }
        let attempt = attempt();
        if self.next.as_ref() == Some(&(attempt.clone(), true)) {
            self.next = None;
            return true;
        }
        self.next = Some((attempt, false));
        false
    }

    /// A unit began.
    pub(crate) fn began(&mut self) {
        self.begun += 1;
        self.singly = self.singly.saturating_sub(1);
        self.suspected = self.suspected.saturating_sub(1);
    }

    /// The mark is to be removed: the shard goes.
    pub(crate) fn removes(&mut self) {
        self.is_removed = true;
    }

    /// The mark is being written.
    pub(crate) fn writes(&mut self) {
        self.phase = Phase::Writing;
    }

    /// The mark was written, or removed; where units commit by themselves, that is durable.
    pub(crate) fn wrote(&mut self, is_durable: bool) {
        self.phase = match (self.is_removed, is_durable) {
            (true, _) => Phase::Removed,
            (false, true) => Phase::Durable,
            (false, false) => Phase::Written { frozen: false },
        };
    }

    /// What the shard did is frozen for a commit.
    pub(crate) fn freeze(&mut self) {
        if let Phase::Written { frozen } = &mut self.phase {
            *frozen = true;
        }
    }

    /// The frozen commit is durable.
    pub(crate) fn committed(&mut self) {
        if self.phase == (Phase::Written { frozen: true }) {
            self.phase = Phase::Durable;
        }
    }

    /// Whether nothing begins before what was done is durable.
    pub(crate) fn presses(&self) -> bool {
        let is_full = self.is_careful() || self.ends > 0 && self.begun >= FEW;
        matches!(self.phase, Phase::Written { .. }) || self.phase == Phase::Durable && is_full
    }

    /// Whether the mark has to be removed before the shard goes; not while it is on its way.
    pub(crate) fn has_to_go(&self) -> bool {
        self.phase == Phase::Durable
    }

    /// Whether the shard may go: there is no mark, or it is removed.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Off | Phase::Away | Phase::Removed)
    }
}

#[cfg(test)]
mod tests;
