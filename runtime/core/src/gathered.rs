//! What completed units leave for the next commit, and how many of them one commit may hold.

use crate::code::{Code, Coded};
use crate::failure::LetterRate;
use crate::outputs::Outputs;
use crate::ports::Disposition;
use crate::record::Position;
use crate::service::Service;

/// From so many units on, commits are as they are when nothing is refused.
const WIDE: usize = 65_536;

/// A unit that is committed without others.
#[derive(Debug)]
pub(crate) struct Alone {
    pub(crate) handler: usize,
    pub(crate) shard: u32,
    pub(crate) position: Position,
}

/// Where completed units go.
///
/// A commit that is refused because of what one unit did is halved until that unit stands alone, and what comes before it goes
/// through meanwhile: some twenty commits for a batch of any size.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// What the units emitted, in the order of their completion.
    pub(crate) outputs: Outputs,
    /// How many units there are.
    pub(crate) units: usize,
    /// The most units of a commit, while one is looked for whose effects are refused.
    bound: Option<usize>,
    /// The unit that came last, while each is committed alone.
    alone: Option<Alone>,
    /// How many of the newest records became dead letters.
    rate: LetterRate,
    /// How many commits of units went through: while units are looked for, each is of another shard.
    turn: usize,
}

impl Gathered {
    pub(crate) fn new(outputs: Outputs) -> Self {
        Self { outputs, ..Self::default() }
    }

    /// One more unit completed, with this end.
    pub(crate) fn count(&mut self, disposition: Disposition, unit: impl FnOnce() -> Alone) {
        self.units += 1;
        match disposition {
            Disposition::Done => self.rate.note(false),
            Disposition::DeadLettered | Disposition::Held => self.rate.note(true),
            _ => {}
        }
        if self.bound == Some(1) {
            self.alone = Some(unit());
        }
    }

    /// The error with which a service stops of whose newest records too many became dead letters.
    pub(crate) fn too_many_letters(&mut self, service: &Service) -> Option<Coded> {
        let (percent, window) = (service.limits.letter_percent, service.limits.letter_window);
        self.rate.is_exceeded(percent, window).then(|| {
            let message = format!(
                "more than {percent} of a hundred of the newest records of service {} became dead letters; see their causes, or raise limits.letter_percent",
                service.name
            );
            Coded::new(Code::TOO_MANY_LETTERS, message)
        })
    }

    /// Takes the units for a commit; tells how many there are.
    pub(crate) fn take_units(&mut self) -> usize {
        std::mem::take(&mut self.units)
    }

    /// Whether a commit may not hold more.
    pub(crate) fn is_full(&self) -> bool {
        self.bound.is_some_and(|bound| self.units >= bound)
    }

    /// How many more units may begin beside those under way. Who is alone in a commit begins when no other is under way.
    pub(crate) fn room(&self, under_way: usize, commits: bool) -> usize {
        match self.bound {
            None => usize::MAX,
            Some(1) if commits => 0,
            Some(bound) => bound.saturating_sub(self.units + under_way),
        }
    }

    /// Which of these shards may take records while a unit is looked for: one after the other, so that none is hidden behind what
    /// the others do. Otherwise all may.
    pub(crate) fn whose_turn(&self, shards: impl FnOnce() -> Vec<u32>) -> Option<u32> {
        self.bound?;
        let shards = shards();
        shards.get(self.turn % shards.len().max(1)).copied()
    }

    /// A commit of so many units went through. One of none says nothing of those that are looked for.
    pub(crate) fn went_through(&mut self, units: usize) {
        if units == 0 {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        self.bound = self.bound.map(|bound| bound * 2).filter(|bound| *bound < WIDE);
        self.alone = None;
    }

    /// A commit of so many units was refused. Answers the unit, if it was the only one.
    pub(crate) fn refused(&mut self, units: usize) -> Option<Alone> {
        let bound = self.bound.map_or(units, |bound| bound.min(units));
        self.bound = Some((bound / 2).max(1));
        self.alone.take()
    }

    /// Forgets everything that was gathered; tells how many units that were.
    pub(crate) fn forget(&mut self) -> usize {
        self.alone = None;
        self.take_units()
    }
}
