//! Faults: what can go wrong, and drawing a schedule of them from a seed.

use std::fmt;
use std::time::Duration;

use tidemill_core::ports::Random;

/// What becomes of a commit that something happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ruling {
    /// It goes through, when its time is over.
    Slow,
    /// It is not committed.
    NotCommitted,
    /// It takes effect, and the answer is that nobody knows.
    UnknownApplied,
    /// It takes no effect, and the answer is that nobody knows.
    UnknownLost,
}

/// What happens to one attempt of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trick {
    /// The handler begins so many milliseconds late.
    Slow(u64),
    /// The handler does all its work and then waits so many milliseconds.
    Lingers(u64),
    /// The handler never ends.
    Never,
    /// The handler does all its work and then fails.
    Fails,
    /// The handler does all its work and then panics.
    Panics,
}

/// One thing that goes wrong. Instances and services are named by a number, counted round among those there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process ends at the port call after so many others.
    CrashAtCall(u32),
    /// The process that is polled after so many other polls ends when it has been polled.
    CrashAtPoll(u32),
    /// Something happens to the next commit, which takes so many milliseconds.
    Commit {
        /// What becomes of it.
        ruling: Ruling,
        /// How long it takes.
        millis: u64,
        /// Whether it takes effect when it is answered, and not when it begins.
        late: bool,
    },
    /// The store is full for so many milliseconds: nothing is committed.
    StoreFull(u64),
    /// The next read of state from the store fails.
    ReadFails,
    /// The process that is polled after so many other polls stands still, as one that is stopped or swapped out does.
    Pause {
        /// Polls before it.
        polls: u32,
        /// How long.
        millis: u64,
    },
    /// An operator pauses the service for so many milliseconds.
    Hold(u64),
    /// Another instance joins. Where a service is being upgraded, it runs the newer version.
    Join(u32),
    /// An instance is asked to stop, and does not come back.
    Leave(u32),
    /// Something happens to the next attempt of a handler.
    Handler(Trick),
    /// The wall clock is set by so many milliseconds.
    Clock(i64),
    /// The next partition that is started hands out so many records again that were done already.
    Again(u32),
}

impl Fault {
    /// The kind, for counting.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CrashAtCall(_) => "crash at a call",
            Self::CrashAtPoll(_) => "crash at an await",
            Self::Commit { ruling: Ruling::Slow, .. } => "slow commit",
            Self::Commit { ruling: Ruling::NotCommitted, .. } => "not committed",
            Self::Commit { ruling: Ruling::UnknownApplied, .. } => "unknown, applied",
            Self::Commit { ruling: Ruling::UnknownLost, .. } => "unknown, lost",
            Self::StoreFull(_) => "store full",
            Self::ReadFails => "read fails",
            Self::Pause { .. } => "paused owner",
            Self::Hold(_) => "operator's pause",
            Self::Join(_) => "join",
            Self::Leave(_) => "leave",
            Self::Handler(Trick::Slow(_) | Trick::Lingers(_)) => "slow handler",
            Self::Handler(Trick::Never) => "never-ending handler",
            Self::Handler(Trick::Fails) => "failing handler",
            Self::Handler(Trick::Panics) => "panicking handler",
            Self::Clock(_) => "clock jump",
            Self::Again(_) => "duplicate delivery",
        }
    }
}

/// A fault and when it is due, in milliseconds of virtual time from the beginning. One that needs something to happen to
/// waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    /// When.
    pub at: u64,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(Fault::{:?}).at({})", self.fault, self.at)
    }
}

impl Fault {
    /// This fault at a time, in milliseconds.
    pub const fn at(self, at: u64) -> Planned {
        Planned { at, fault: self }
    }
}

/// Evenly distributed numbers below `bound`, which is not 0.
pub(crate) fn below(chance: &dyn Random, bound: u64) -> u64 {
    chance.next() % bound
}

/// A number whose size, and not only its value, is left to chance: small ones come as often as large ones.
fn of_any_size(chance: &dyn Random, largest: u64) -> u64 {
    let bits = below(chance, u64::from(64 - largest.leading_zeros())) + 1;
    below(chance, 1 << bits).min(largest)
}

/// The faults of a seed, in the order of their times, all before `horizon`.
pub(crate) fn draw(chance: &dyn Random, horizon: Duration, most: u64) -> Vec<Planned> {
    let horizon = u64::try_from(horizon.as_millis()).unwrap_or(u64::MAX).max(1);
    let count = 1 + below(chance, most.max(1));
    // Each run has some kinds of fault and not the others, so that rare meetings of two kinds come up.
    let mask = chance.next() | 1 << below(chance, KINDS);
    let mut faults = Vec::new();
    while (faults.len() as u64) < count {
        let kind = below(chance, KINDS);
        if mask >> kind & 1 == 1 {
            faults.push(draw_one(chance, kind).at(below(chance, horizon)));
        }
    }
    faults.sort_by_key(|planned| planned.at);
    faults
}

/// How many kinds [`draw_one`] knows.
const KINDS: u64 = 17;

#[expect(clippy::cast_possible_truncation, reason = "bounded a line above each")]
fn draw_one(chance: &dyn Random, kind: u64) -> Fault {
    let small = |most: u64| of_any_size(chance, most) as u32;
    match kind {
        0 | 1 => Fault::CrashAtCall(small(200)),
        2 => Fault::CrashAtPoll(small(60)),
        3 => Fault::StoreFull(of_any_size(chance, 8_000)),
        4 => Fault::ReadFails,
        5 => Fault::Pause { polls: small(60), millis: below(chance, 30_000) },
        6 => Fault::Join(small(7)),
        7 => Fault::Leave(small(7)),
        8 => {
            let by = of_any_size(chance, 60_000).cast_signed();
            Fault::Clock(if below(chance, 2) == 0 { by } else { -by })
        }
        9 => Fault::Again(small(30)),
        10 => Fault::Hold(of_any_size(chance, 8_000)),
        11..14 => {
            let rulings = [Ruling::Slow, Ruling::NotCommitted, Ruling::UnknownApplied, Ruling::UnknownLost];
            let ruling = rulings[below(chance, 4) as usize];
            Fault::Commit { ruling, millis: of_any_size(chance, 4_000), late: below(chance, 2) == 0 }
        }
        _ => Fault::Handler(match below(chance, 8) {
            0 => Trick::Never,
            1 => Trick::Fails,
            2 => Trick::Panics,
            3..5 => Trick::Lingers(of_any_size(chance, 5_000)),
            _ => Trick::Slow(of_any_size(chance, 5_000)),
        }),
    }
}
