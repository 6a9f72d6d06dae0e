//! What became of records, as the journal of a shard has it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::id::EventId;
use crate::internal::Wish;
use crate::journal::{Cause, Ending, Noted, Page, Step};
use crate::journey::scan::{Found, OfShard};
use crate::journey::{Event, Fired, Turn, Unit};
use crate::record::{Position, TopicPartition};
use crate::service::Taken;
use crate::timers::When;

/// What waits in a lane: where it came from, and its unit, where that is looked for.
struct Waiting {
    position: Position,
    unit: Option<usize>,
}

/// What is found of units.
pub(super) struct Units<'f> {
    /// The records that were found, by where they stand, and which of the events each is.
    pub(super) records: BTreeMap<Position, (&'f Found, Option<usize>)>,
    pub(super) events: Vec<Event>,
    pub(super) found: Vec<Unit>,
}

/// A walk through the journal of one shard.
struct Walk<'w, 'f> {
    all: &'w mut Units<'f>,
    of: &'w OfShard,
    lanes: BTreeMap<Bytes, VecDeque<Waiting>>,
    /// The timers that may fire, and the unit that may have scheduled each.
    timers: BTreeMap<EventId, (usize, Bytes)>,
}

impl Units<'_> {
    /// Takes what the journal of a shard tells.
    pub(super) fn take(&mut self, of: &OfShard) {
        let mut walk = Walk { all: self, of, lanes: BTreeMap::new(), timers: BTreeMap::new() };
        for page in &of.pages {
            if page.number == 1 {
                // The shard's state was dropped, and what waited there with it.
                walk.lanes.clear();
                walk.timers.clear();
            }
            for step in &page.steps {
                walk.step(page, step);
            }
        }
    }
}

impl Walk<'_, '_> {
    fn step(&mut self, page: &Page, step: &Step) {
        match step {
            Step::Run(place, first, count, later) => {
                let at = |offset| TopicPartition::new(page.topic(*place), self.of.shard).at(offset);
                let done = self.all.records.range(at(*first)..at(first.saturating_add(*count).max(*first)));
                let done: Vec<Position> = done.map(|(position, _)| position.clone()).collect();
                for position in done {
                    let turn = Turn { at: page.time(*later), attempt: 1, ended: Ending::Done };
                    self.record(&position, turn);
                }
            }
            Step::Unit(Noted { cause, later, ended, attempt, .. }) => {
                let turn = Turn { at: page.time(*later), attempt: *attempt, ended: ended.clone() };
                match cause {
                    Cause::Record(place, offset) => {
                        let source = TopicPartition::new(page.topic(*place), self.of.shard);
                        self.record(&source.at(*offset), turn);
                    }
                    Cause::Parked(lane) => self.parked(lane, turn),
                    Cause::Timer(when) => self.timer(when, turn),
                }
            }
        }
    }

    fn record(&mut self, position: &Position, turn: Turn) {
        let Some((found, event)) = self.all.records.get(position).copied() else { return };
        let (record, origin) = found.handled();
        let known = found.command.as_ref().map_or("", |(command, _)| &command.target.handler);
        let taken = self.of.service.taken(&origin, record, &found.own_id, known);
        let unit = event.map(|event| {
            let unit = self.begin(&taken, turn.clone());
            self.all.events[event].units.push(unit);
            unit
        });
        let waiting = Waiting { position: origin, unit };
        match (&found.command, turn.ended) {
            (Some((command, _)), Ending::Commanded) => self.obey(&command.wish, taken.lane, waiting),
            (_, ended) => self.waits(taken.lane, &ended, waiting),
        }
    }

    /// What an operator's command does to a lane, if it is not refused.
    fn obey(&mut self, wish: &Wish, lane: Bytes, about: Waiting) {
        let lane = self.lanes.entry(lane).or_default();
        match wish {
            Wish::DiscardParked | Wish::Discard { .. } => lane.retain(|waiting| waiting.position != about.position),
            Wish::Redrive { .. } => match lane.front_mut().filter(|first| first.position == about.position) {
                Some(first) => *first = about,
                None => lane.push_back(about),
            },
            Wish::Release | Wish::Saga(_) => {}
        }
    }

    /// A unit that is looked for had its first turn.
    fn begin(&mut self, taken: &Taken, turn: Turn) -> usize {
        let (service, handler) = (self.of.service.name().clone(), taken.handler.clone());
        let unit = self.all.found.len();
        self.all.found.push(Unit { service, handler, turns: vec![turn], events: Vec::new(), timers: Vec::new() });
        self.timers.extend(taken.timers.iter().map(|id| (*id, (unit, taken.lane.clone()))));
        unit
    }

    /// A record or a timer waits in its lane from here on, if it ended so.
    fn waits(&mut self, lane: Bytes, ended: &Ending, waiting: Waiting) {
        if ended.waits() {
            self.lanes.entry(lane).or_default().push_back(waiting);
        }
    }

    fn parked(&mut self, lane: &[u8], turn: Turn) {
        let Some(queue) = self.lanes.get_mut(lane) else { return };
        let first = queue.front().and_then(|first| first.unit);
        if !turn.ended.waits() {
            queue.pop_front();
        }
        if let Some(unit) = first {
            self.all.found[unit].turns.push(turn);
        }
    }

    fn timer(&mut self, when: &[u8], turn: Turn) {
        let Some(When { due, id, .. }) = When::from_bytes(when) else { return };
        let Some((scheduler, lane)) = self.timers.get(&id).cloned() else { return };
        let handler = self.all.found[scheduler].handler.clone();
        let timers = self.of.service.timers_of(&handler, id);
        let ended = turn.ended.clone();
        let unit = self.begin(&Taken { handler, lane: lane.clone(), timers }, turn);
        self.all.found[scheduler].timers.push(Fired { due, id, unit });
        let position = TopicPartition::new("", self.of.shard).at(0);
        self.waits(lane, &ended, Waiting { position, unit: Some(unit) });
    }
}
