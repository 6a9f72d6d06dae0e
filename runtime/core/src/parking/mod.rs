//! Parking: records that were moved from the log into state, in the order of their lanes, until they can be handled.
//!
//! The first of a lane waits for a time or an operator, the others wait behind it. What is here names records; they themselves
//! lie in state, each under its lane and its number.

mod entry;

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

use crate::code::{Code, Coded};
use crate::lane::LaneId;
use crate::limits::{Limits, WhenFull};
use crate::record::Position;
use crate::state::entry_suffix;
use crate::time::Timestamp;

pub(crate) use entry::lane_key;
pub use entry::{Parked, Past, Redriven, Waits, parked};

/// The map that parked records lie in.
pub(crate) const PARKED: &str = "parked";

/// Where a parked record lies in state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The lane's name there.
    pub(crate) lane: Bytes,
    /// Its number: a later one was parked later.
    pub(crate) number: u64,
    pub(crate) bytes: usize,
}

impl Slot {
    /// What names the record beside its lane.
    pub(crate) fn suffix(&self) -> Bytes {
        entry_suffix(PARKED, &self.number.to_be_bytes())
    }
}

/// What the first record of a lane does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// It waits for a time.
    Until(Timestamp),
    /// It can be handled as soon as its lane is free.
    Ready,
    /// It is being handled.
    UnderWay,
    /// It waits for an operator.
    Held,
}

#[derive(Debug)]
struct ParkedLane {
    slots: VecDeque<Slot>,
    bytes: usize,
    head: Head,
}

/// With what the service stops that has to park a record and has no room for it; `None` where its partition waits instead.
pub(crate) fn full(limits: &Limits, position: &Position) -> Option<Coded> {
    let message = || format!("{position} has to be parked, and no more may be: see limits.parked");
    (limits.when_parked_full == WhenFull::Stop).then(|| Coded::new(Code::PARKING_FULL, message()))
}

/// The parked records of one shard.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    lanes: HashMap<LaneId, ParkedLane, foldhash::fast::RandomState>,
    /// The lanes whose first record waits for a time, by that time; its number tells them apart.
    due: BTreeMap<(Timestamp, u64), LaneId>,
    /// How many lanes wait for an operator.
    held: usize,
    records: usize,
    bytes: usize,
    /// The number of the record that is parked next.
    next: u64,
}

impl Parking {
    /// The number of the record that is parked now.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Whether records of the lane are parked.
    pub(crate) fn holds(&self, lane: &LaneId) -> bool {
        !self.lanes.is_empty() && self.lanes.contains_key(lane)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether one more record of so many bytes may be parked.
    pub(crate) fn has_room(&self, lane: &LaneId, bytes: usize, limits: &Limits) -> bool {
        let fits = |records, held, most_records, most_bytes| records < most_records && held + bytes <= most_bytes;
        let of_lane = self.lanes.get(lane).map_or((0, 0), |lane| (lane.slots.len(), lane.bytes));
        fits(self.records, self.bytes, limits.parked, limits.parked_bytes)
            && (of_lane.0 == 0 || fits(of_lane.0, of_lane.1, limits.lane_parked, limits.lane_parked_bytes))
    }

    /// Takes a record in, as it was found in state or as it has just been parked.
    pub(crate) fn add(&mut self, lane: &LaneId, slot: Slot, waits: &Waits) {
        self.next = self.next.max(slot.number + 1);
        self.records += 1;
        self.bytes += slot.bytes;
        let parked = self.lanes.entry(lane.clone()).or_insert_with(|| ParkedLane {
            slots: VecDeque::new(),
            bytes: 0,
            head: Head::Ready,
        });
        parked.bytes += slot.bytes;
        parked.slots.push_back(slot);
        if parked.slots.len() == 1 {
            self.set_head(lane, waits);
        }
    }

    /// The first record of a lane waits for something else.
    pub(crate) fn set_head(&mut self, lane: &LaneId, waits: &Waits) {
        let Some(parked) = self.lanes.get_mut(lane) else { return };
        let number = parked.slots.front().expect("a lane that is here holds a record").number;
        match parked.head {
            Head::Until(at) => drop(self.due.remove(&(at, number))),
            Head::Held => self.held -= 1,
            Head::Ready | Head::UnderWay => {}
        }
        parked.head = match waits {
            Waits::Until(at) => Head::Until(Timestamp::from_millis(*at)),
            Waits::Held { .. } => Head::Held,
            Waits::Behind => Head::Ready,
        };
        match parked.head {
            Head::Until(at) => drop(self.due.insert((at, number), lane.clone())),
            Head::Held => self.held += 1,
            Head::Ready | Head::UnderWay => {}
        }
    }

    /// How many lanes wait for something else than an operator.
    pub(crate) fn waiting(&self) -> usize {
        self.lanes.len() - self.held
    }

    /// The first record of the lane, if it can be handled now: from here on it is under way.
    pub(crate) fn begin(&mut self, lane: &LaneId) -> Option<Slot> {
        let parked = self.lanes.get_mut(lane).filter(|parked| parked.head == Head::Ready)?;
        parked.head = Head::UnderWay;
        parked.slots.front().cloned()
    }

    /// The lanes whose records are parked, each with its name in state.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&LaneId, &Bytes)> {
        self.lanes.iter().filter_map(|(lane, parked)| Some((lane, &parked.slots.front()?.lane)))
    }

    /// The first record of the lane, whatever it waits for.
    pub(crate) fn first(&self, lane: &LaneId) -> Option<&Slot> {
        self.lanes.get(lane)?.slots.front()
    }

    /// The records of the lane, in their order.
    pub(crate) fn slots(&self, lane: &LaneId) -> impl Iterator<Item = &Slot> {
        self.lanes.get(lane).into_iter().flat_map(|parked| &parked.slots)
    }

    /// A record of the lane is there no more. After the first, the next can be handled; a lane without another is parked no more.
    pub(crate) fn remove(&mut self, lane: &LaneId, number: u64) {
        let Some(parked) = self.lanes.get(lane) else { return };
        let Some(place) = parked.slots.iter().position(|slot| slot.number == number) else { return };
        if place == 0 {
            self.set_head(lane, &Waits::Behind);
        }
        let Some(parked) = self.lanes.get_mut(lane) else { return };
        let slot = parked.slots.remove(place).expect("its place was found");
        parked.bytes -= slot.bytes;
        self.bytes -= slot.bytes;
        self.records -= 1;
        if parked.slots.is_empty() {
            self.lanes.remove(lane);
        }
    }

    /// The first record of the lane has another size.
    pub(crate) fn resize(&mut self, lane: &LaneId, bytes: usize) {
        let Some(parked) = self.lanes.get_mut(lane) else { return };
        let slot = parked.slots.front_mut().expect("a lane that is here holds a record");
        parked.bytes = parked.bytes - slot.bytes + bytes;
        self.bytes = self.bytes - slot.bytes + bytes;
        slot.bytes = bytes;
    }

    /// A lane whose first record has waited long enough, each once.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<LaneId> {
        let due = self.due.first_entry().filter(|due| due.key().0 <= now)?;
        let lane = due.remove();
        if let Some(parked) = self.lanes.get_mut(&lane) {
            parked.head = Head::Ready;
        }
        Some(lane)
    }

    /// When the next record has waited long enough.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lanes whose first record can be handled at once, after a start.
    pub(crate) fn ready(&self) -> Vec<LaneId> {
        let ready = self.lanes.iter().filter(|(_, parked)| parked.head == Head::Ready);
        let mut ready: Vec<_> = ready.map(|(lane, parked)| (parked.slots[0].number, lane.clone())).collect();
        ready.sort_unstable_by_key(|(number, _)| *number);
        ready.into_iter().map(|(_, lane)| lane).collect()
    }
}

#[cfg(test)]
mod tests;
