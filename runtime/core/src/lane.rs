//! Lanes: the queue of one key of one handler inside a shard.

use std::collections::{HashMap, VecDeque};

use crate::planted::{Bug, is_planted};
use crate::record::Position;
use crate::state::StateId;

/// What has to be handled one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LaneId {
    /// One key of one handler.
    Key(StateId),
    /// Everything that a handler with `in_order` takes in this shard, by the handler's place.
    Partition(usize),
    /// One record without a key, which nothing has to wait for, by its handler's place and where it came from.
    Alone(usize, Position),
}

impl LaneId {
    /// The place of its handler.
    pub(crate) const fn handler(&self) -> usize {
        match self {
            Self::Key(state) => state.handler,
            Self::Partition(handler) | Self::Alone(handler, _) => *handler,
        }
    }
}

/// The lanes in which a unit is under way, each with what waits behind it. A lane that is not here is free.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    busy: HashMap<LaneId, VecDeque<T>, foldhash::fast::RandomState>,
    waiting: usize,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { busy: HashMap::default(), waiting: 0 }
    }
}

impl<T> Lanes<T> {
    /// How many are queued behind the unit under way in `lane`; `None` when the lane is free.
    pub(crate) fn queued(&self, lane: &LaneId) -> Option<usize> {
        // Most handlers never wait, so most of the time no lane is busy and nothing has to be hashed.
        if self.busy.is_empty() { None } else { self.busy.get(lane).map(VecDeque::len) }
    }

    /// A unit is under way in `lane`, which was free.
    pub(crate) fn occupy(&mut self, lane: LaneId) {
        let before = self.busy.insert(lane, VecDeque::new());
        debug_assert!(before.is_none(), "two units in one lane");
    }

    /// What comes next in the lane, without taking it.
    pub(crate) fn first(&self, lane: &LaneId) -> Option<&T> {
        self.busy.get(lane)?.front()
    }

    /// What comes before all that wait in the lane, which is busy.
    pub(crate) fn push_front(&mut self, lane: &LaneId, item: T) {
        self.busy.get_mut(lane).expect("the lane is busy").push_front(item);
        self.waiting += 1;
    }

    /// Queues behind the unit under way.
    pub(crate) fn push(&mut self, lane: &LaneId, item: T) {
        self.busy.get_mut(lane).expect("the lane is busy").push_back(item);
        self.waiting += 1;
    }

    /// The unit under way ended: what comes next in the lane, which stays busy; without a next the lane is free.
    pub(crate) fn next(&mut self, lane: &LaneId) -> Option<T> {
        let waiting = self.busy.get_mut(lane)?;
        let next = if is_planted(Bug::LaneOrderBroken) { waiting.pop_back() } else { waiting.pop_front() };
        match next {
            Some(_) => self.waiting -= 1,
            None => {
                self.busy.remove(lane);
            }
        }
        next
    }

    /// Forgets all that wait and tells how many there were; units under way stay.
    pub(crate) fn forget_waiting(&mut self) -> usize {
        self.busy.values_mut().for_each(VecDeque::clear);
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests;
