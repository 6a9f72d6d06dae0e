//! Who begins in which lane: records as they come, parked ones that are due, and those that had to wait.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::stream::Stream as _;

use crate::books::Books;
use crate::code::{Code, Coded};
use crate::gathered::Gathered;
use crate::guard::Attempt;
use crate::lane::LaneId;
use crate::parking::{Slot, Waits};
use crate::planted::{Bug, is_planted};
use crate::ports::Answer;
use crate::service::Way;
use crate::shard::incoming::Waiting;
use crate::shard::made::parked_unit;
use crate::shard::{Shard, Trouble, UnderWay};
use crate::timers::When;
use crate::unit::{Finished, Home, Settles, Step, Unit, run};

/// What a lane waits for in which something has to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    /// That its next unit is written down.
    Unnoted,
    /// That units may begin again.
    Later,
    /// Room for one more parked record.
    Room,
    /// What this handler needs.
    Away(usize),
}

/// What became of a unit that was to begin.
pub(super) enum Launched {
    /// It is done.
    Ended,
    /// It is under way.
    Pending,
    /// It has to begin again later.
    Rests(Rest, Back),
}

/// What has to begin again later.
pub(super) enum Back {
    Queued(Queued),
    Parked,
}

/// What waits in memory for its turn in a lane.
pub(super) enum Queued {
    /// A record that was taken.
    Record(Box<Waiting>),
    /// A timer that is due.
    Timer(When),
}

/// What comes next in a lane.
enum Next {
    Parked(Slot),
    Queued(Queued),
    Nothing,
}

impl Shard {
    /// Begins with a record that was taken, or queues it behind what is under way in its lane.
    pub(super) fn begin(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        waiting: Waiting,
        lane: Option<LaneId>,
    ) -> Result<(), Trouble> {
        let (source, offset) = (waiting.source, waiting.offset);
        let way = waiting.way;
        let is_plain = waiting.command.is_none();
        match lane {
            Some(lane) if self.lanes.queued(&lane).is_some() => {
                self.sources[source].progress.take(offset);
                self.lanes.push(&lane, Queued::Record(Box::new(waiting)));
                Ok(())
            }
            // What an operator wants may let a parked record begin.
            Some(lane) if !is_plain => {
                self.sources[source].progress.take(offset);
                self.lanes.occupy(lane.clone());
                self.lanes.push(&lane, Queued::Record(Box::new(waiting)));
                self.advance(cx, gathered, &lane)
            }
            lane => {
                let holds = |lane: &LaneId| self.home.books.borrow().parking.holds(lane);
                let queue = lane.as_ref().is_some_and(|lane| !is_planted(Bug::ParkedOvertaken) && holds(lane));
                match self.launch(cx, gathered, waiting, queue)? {
                    Launched::Ended => {}
                    Launched::Pending => {
                        self.sources[source].progress.take(offset);
                        if let Some(lane) = lane.filter(|_| !is_planted(Bug::LaneShared)) {
                            self.lanes.occupy(lane);
                        }
                    }
                    Launched::Rests(rest, back) => {
                        self.sources[source].progress.take(offset);
                        let lane = lane.unwrap_or_else(|| self.own_lane(way, source, offset));
                        self.lanes.occupy(lane.clone());
                        self.put_back(lane, rest, back);
                    }
                }
                Ok(())
            }
        }
    }

    /// The lane of a record without a key.
    fn own_lane(&self, way: Way, source: usize, offset: u64) -> LaneId {
        LaneId::Alone(self.home.env.service.handler_of(way), self.sources[source].partition.at(offset))
    }

    /// A lane in which nothing is under way, and something has to begin.
    pub(super) fn rest(&mut self, rest: Rest, lane: LaneId) {
        self.resting.entry(rest).or_default().push_back(lane);
    }

    fn put_back(&mut self, lane: LaneId, rest: Rest, back: Back) {
        match back {
            Back::Queued(queued) => self.lanes.push_front(&lane, queued),
            Back::Parked => self.home.books.borrow_mut().parking.set_head(&lane, &Waits::Behind),
        }
        self.rest(rest, lane);
    }

    /// Begins in lanes that rested, and in those whose parked records or timers are due.
    pub(super) fn wake_lanes(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        budget: &mut usize,
        in_flight: usize,
    ) -> Result<bool, Trouble> {
        let before = *budget;
        let is_quiet = |books: &Books| books.parking.is_empty() && books.timers.is_empty();
        if self.resting.is_empty() && is_quiet(&self.home.books.borrow()) {
            return Ok(false);
        }
        let now = self.home.env.clock.now();
        let rests: Vec<Rest> = self.resting.keys().copied().collect();
        for rest in rests {
            while *budget > 0 && self.in_flight.len() < in_flight && !gathered.is_full() {
                let may_begin = match rest {
                    Rest::Later | Rest::Unnoted => true,
                    Rest::Room => self.has_room_for_next(),
                    Rest::Away(handler) => {
                        let env = &self.home.env;
                        env.dependencies.is_due(&env.service.registered(handler).needs, now)
                    }
                };
                let lane = self.resting.get_mut(&rest).filter(|_| may_begin).and_then(VecDeque::pop_front);
                let Some(lane) = lane else { break };
                *budget -= 1;
                self.advance(cx, gathered, &lane)?;
            }
        }
        self.resting.retain(|_, lanes| !lanes.is_empty());
        while *budget > 0 && self.in_flight.len() < in_flight && !gathered.is_full() {
            let due = self.home.books.borrow_mut().parking.take_due(now);
            let Some(lane) = due else { break };
            *budget -= 1;
            // What is under way in the lane, or rests, goes on with it.
            if self.lanes.queued(&lane).is_none() {
                self.lanes.occupy(lane.clone());
                self.advance(cx, gathered, &lane)?;
            }
        }
        while *budget > 0 && self.in_flight.len() < in_flight && !gathered.is_full() {
            // By the time that units see: one that schedules a timer cannot see an earlier one than a timer that has fired.
            let due = self.home.books.borrow_mut().timers.take_due(self.home.env.time());
            let Some((when, lane)) = due else { break };
            *budget -= 1;
            self.fire(cx, gathered, when, &lane)?;
        }
        Ok(*budget < before)
    }

    /// Whether there is room for the next record that rests for it. Less would let its handler fail again and again, for nothing.
    fn has_room_for_next(&self) -> bool {
        let next = self.resting.get(&Rest::Room).and_then(VecDeque::front);
        let queued = next.and_then(|lane| Some((lane, self.lanes.first(lane)?)));
        let parking = &self.home.books.borrow().parking;
        queued.is_none_or(|(lane, queued)| {
            let size = match queued {
                Queued::Record(waiting) => waiting.record.size(),
                Queued::Timer(_) => 0,
            };
            parking.has_room(lane, size, &self.home.env.service.limits)
        })
    }

    /// Polls the units under way; those that end free their lane for the next. Tells whether any ended.
    pub(super) fn poll_units(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered) -> Result<bool, Trouble> {
        let mut any = false;
        while let Poll::Ready(Some(finished)) = Pin::new(&mut self.in_flight).poll_next(cx) {
            any = true;
            let finished = finished?;
            let lane = finished.unit.lane();
            let is_lane = !matches!(lane, LaneId::Alone(..)) || self.lanes.queued(&lane).is_some();
            match self.complete(gathered, finished)? {
                Some((rest, unit)) => {
                    if !is_lane {
                        self.lanes.occupy(lane.clone());
                    }
                    let back = self.back(unit);
                    self.put_back(lane, rest, back);
                }
                None if !is_lane => {}
                None if self.paused || self.leaves => self.rest(Rest::Later, lane),
                None => self.advance(cx, gathered, &lane)?,
            }
        }
        Ok(any)
    }

    /// Runs what comes next in a lane, which is occupied, until a unit has to wait, or the lane is free.
    pub(super) fn advance(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        lane: &LaneId,
    ) -> Result<(), Trouble> {
        loop {
            if gathered.is_full() {
                self.rest(Rest::Later, lane.clone());
                return Ok(());
            }
            let launched = match self.next_in(lane) {
                Next::Nothing => return Ok(()),
                Next::Parked(slot) => self.launch_parked(cx, gathered, lane, slot)?,
                Next::Queued(Queued::Record(waiting)) => {
                    let queue = self.home.books.borrow().parking.holds(lane);
                    self.launch(cx, gathered, *waiting, queue)?
                }
                Next::Queued(Queued::Timer(when)) => self.launch_timer(cx, gathered, lane, when)?,
            };
            match launched {
                Launched::Ended => {}
                Launched::Pending => return Ok(()),
                Launched::Rests(rest, back) => {
                    self.put_back(lane.clone(), rest, back);
                    return Ok(());
                }
            }
        }
    }

    /// What comes next in a lane: its first parked record, if that can be handled, then what waits in memory.
    fn next_in(&mut self, lane: &LaneId) -> Next {
        if let Some(slot) = self.home.books.borrow_mut().parking.begin(lane) {
            return Next::Parked(slot);
        }
        self.lanes.next(lane).map_or(Next::Nothing, Next::Queued)
    }

    /// What a unit has to wait for before it begins: that it is written down, where one may end the process, or what its handler
    /// needs.
    pub(super) fn has_to_rest(
        &mut self,
        handler: usize,
        is_handled: bool,
        attempt: impl FnOnce() -> Attempt,
    ) -> Option<Rest> {
        if !is_handled {
            return None;
        }
        if !self.guard.may_begin(attempt) {
            return Some(Rest::Unnoted);
        }
        let env = &self.home.env;
        let needs = &env.service.registered(handler).needs;
        if !needs.is_empty() && !env.dependencies.may_begin(needs, env.clock.now()) {
            return Some(Rest::Away(handler));
        }
        self.guard.began();
        None
    }

    /// Polls a new unit once.
    fn launch(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        waiting: Waiting,
        queue: bool,
    ) -> Result<Launched, Trouble> {
        let env = Rc::clone(&self.home.env);
        let source = &self.sources[waiting.source];
        let (partition, since) = (source.partition.clone(), source.since);
        let step = waiting.step(&self.home, &partition, queue);
        let handler = env.service.handler_of(waiting.way);
        let is_handled = matches!(step, Step::Handle);
        let attempt = || Attempt::of(&partition.at(waiting.offset));
        if let Some(rest) = self.has_to_rest(handler, is_handled, attempt) {
            return Ok(Launched::Rests(rest, Back::Queued(Queued::Record(Box::new(waiting)))));
        }
        let unit = waiting.into_unit(self.home.clone(), partition, since);
        self.poll_once(cx, gathered, Box::pin(async move { Ok(run(unit, step).await) }))
    }

    /// Polls the unit of the first parked record of a lane once.
    fn launch_parked(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        lane: &LaneId,
        slot: Slot,
    ) -> Result<Launched, Trouble> {
        if let Some(rest) = self.has_to_rest(lane.handler(), true, || Attempt::Parked(slot.number)) {
            return Ok(Launched::Rests(rest, Back::Parked));
        }
        self.poll_once(cx, gathered, Box::pin(parked(self.home.clone(), lane.clone(), slot)))
    }

    pub(super) fn poll_once(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        mut unit: UnderWay,
    ) -> Result<Launched, Trouble> {
        match unit.as_mut().poll(cx) {
            Poll::Ready(finished) => {
                let finished = finished?;
                let again = self.complete(gathered, finished)?;
                Ok(again.map_or(Launched::Ended, |(rest, unit)| Launched::Rests(rest, self.back(unit))))
            }
            Poll::Pending => {
                self.in_flight.push(unit);
                Ok(Launched::Pending)
            }
        }
    }

    /// A unit that has to begin again.
    fn back(&self, unit: Box<Unit>) -> Back {
        let unit = *unit;
        match unit.settles {
            Settles::Parked(_) | Settles::Nothing => Back::Parked,
            Settles::Timer { when, .. } => Back::Queued(Queued::Timer(when)),
            Settles::Record { source, offset, .. } => {
                let place = self.sources.iter().position(|known| known.partition == source);
                let source = place.expect("the unit came from here");
                let waiting = Waiting { source, offset, way: unit.way, record: unit.record, command: None };
                Back::Queued(Queued::Record(Box::new(waiting)))
            }
        }
    }
}

/// What follows where something of the runtime's own cannot be read.
pub(super) fn not_read(cause: Coded) -> Trouble {
    match cause.code {
        Code::FENCED => Trouble::Restart(Answer::Fenced(cause)),
        Code::STATE_UNREADABLE | Code::HANDLER_GONE => Trouble::Stop(cause),
        _ => Trouble::Restart(Answer::NotCommitted(cause)),
    }
}

/// Reads a parked record and handles it.
async fn parked(home: Home, lane: LaneId, slot: Slot) -> Result<Finished, Trouble> {
    let (unit, step) = parked_unit(home, lane, slot).await.map_err(not_read)?;
    Ok(run(unit, step).await)
}
