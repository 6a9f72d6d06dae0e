//! A shard: partition number p of a service over all its input topics, run as one state machine.

mod backfilled;
mod guarded;
mod incoming;
mod journaled;
mod lanes;
mod made;
mod timers;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::task::Context;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::books::Books;
use crate::code::Coded;
use crate::gathered::{Alone, Gathered};
use crate::guard::Guard;
use crate::lane::{LaneId, Lanes};
use crate::outputs::Outputs;
use crate::parking::full;
use crate::planted::{Bug, is_planted, strikes};
use crate::ports::{Answer, Committing, Disposition, Generation, Log, ShardCommit, UnitEnded};
use crate::progress::Progress;
use crate::record::{RecordBatch, TopicPartition};
use crate::source::Source;
use crate::state::{Memory, runtime_id};
use crate::time::Timestamp;
use crate::unit::{Finished, Home, Outcome, Settles, Unit};
use crate::worker::Env;
use incoming::{Waiting, look_at};
use lanes::{Queued, Rest};
pub(crate) use made::{is_nobodys, parked_unit, record_unit, timer_unit};

/// Why a shard cannot go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The service has to stop; the record and the reason are named.
    Stop(Coded),
    /// What is durable has to be read again.
    Restart(Answer),
}

/// What a unit under way ends with.
type UnderWay = LocalBoxFuture<'static, Result<Finished, Trouble>>;

/// What a shard starts with.
pub(crate) struct Start {
    pub(crate) sources: Vec<(TopicPartition, Option<Progress>)>,
    pub(crate) books: Books,
    /// Whether the group begins somewhere in it, which is not durable yet.
    pub(crate) begins: bool,
    pub(crate) guard: Guard,
}

/// One shard while this worker owns it.
pub(crate) struct Shard {
    pub(crate) home: Home,
    sources: Vec<Source>,
    /// The source whose turn it is.
    turn: usize,
    lanes: Lanes<Queued>,
    in_flight: FuturesUnordered<UnderWay>,
    /// Whether no unit is to begin, because an operator says so, or because the shard goes.
    paused: bool,
    leaves: bool,
    /// Lanes in which nothing is under way and something has to begin, by what they wait for.
    resting: BTreeMap<Rest, VecDeque<LaneId>>,
    guard: Guard,
    /// Whether anything happened since the last commit that has to be committed.
    dirty: bool,
}

impl Shard {
    pub(crate) fn new(env: Rc<Env>, shard: u32, generation: Generation, start: Start) -> Self {
        let input_of = |topic: &str| env.service.inputs.iter().position(|input| *input.topic == *topic);
        let sources = start
            .sources
            .into_iter()
            .map(|(partition, progress)| {
                let input = input_of(&partition.topic).expect("only input topics are assigned");
                Source::new(partition, input, progress)
            })
            .collect();
        let has_notes = start.books.journal.is_open();
        let mut shard = Self {
            home: Home {
                env,
                memory: Rc::new(RefCell::new(Memory::default())),
                books: Rc::new(RefCell::new(start.books)),
                shard,
                generation,
            },
            sources,
            turn: 0,
            lanes: Lanes::default(),
            in_flight: FuturesUnordered::new(),
            paused: false,
            leaves: false,
            resting: BTreeMap::new(),
            guard: start.guard,
            dirty: start.begins || has_notes,
        };
        let ready = shard.home.books.borrow().parking.ready();
        for lane in ready {
            shard.lanes.occupy(lane.clone());
            shard.rest(Rest::Later, lane);
        }
        shard
    }

    /// Takes a batch in, to be handled by and by.
    pub(crate) fn accept(&mut self, batch: RecordBatch) {
        let source = self.sources.iter_mut().find(|source| source.partition == batch.source);
        let source = source.expect("the log hands out only what was started");
        self.dirty |= source.accept(batch);
    }

    pub(crate) fn unread_bytes(&self) -> usize {
        self.sources.iter().map(Source::unread_bytes).sum()
    }

    /// Keeps what is read ahead of each partition near its share.
    pub(crate) fn balance(&mut self, share: usize, log: &mut dyn Log) {
        for source in &mut self.sources {
            source.balance(share, log);
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether the shard goes on only when what it did is committed.
    pub(crate) fn wants_commit(&self) -> bool {
        self.dirty && self.in_flight.is_empty() && self.guard.presses()
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.home.memory.borrow().dirty_bytes()
    }

    /// When something is to be looked after next, without anything else happening. What was due at `looked`, and was not begun,
    /// is held back by something else, which wakes the worker when it ends.
    pub(crate) fn next_due(&self, looked: Timestamp) -> Option<Timestamp> {
        if self.paused || self.leaves {
            return None;
        }
        let due = self.home.books.borrow().parking.next_due().filter(|_| !is_planted(Bug::DueForgotten));
        let env = &self.home.env;
        let probes = self.resting.keys().filter_map(|rest| match rest {
            Rest::Away(handler) => env.dependencies.next_probe(&env.service.registered(*handler).needs),
            Rest::Unnoted | Rest::Later | Rest::Room => None,
        });
        let timers = self.home.books.borrow().timers.next_due();
        due.into_iter().chain(timers).chain(probes).filter(|due| *due > looked).min()
    }

    /// How many lanes have parked records that will be handled without an operator; one more where a timer is due.
    pub(crate) fn waiting(&self, now: Timestamp) -> usize {
        let books = self.home.books.borrow();
        books.parking.waiting() + usize::from(books.timers.is_due(now))
    }

    /// Forgets what was read and is not under way; it will be read again by whoever owns the shard next. Tells how many
    /// records were waiting in lanes.
    pub(crate) fn forget_unstarted(&mut self) -> usize {
        self.leaves = true;
        self.sources.iter_mut().for_each(Source::forget_unread);
        self.lanes.forget_waiting()
    }

    /// Begins no unit any more, or goes on. Units under way end in any case.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Drops the units under way: they are interrupted.
    pub(crate) fn interrupt(&mut self) -> usize {
        let interrupted = self.in_flight.len();
        self.in_flight.clear();
        interrupted
    }

    /// Lets units under way go on, then what rests and what is due, then takes up to `budget` records to their lanes while fewer
    /// than `in_flight` units are under way. Tells whether anything happened.
    pub(crate) fn go_on(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        budget: usize,
        in_flight: usize,
    ) -> Result<bool, Trouble> {
        let mut moved = self.poll_units(cx, gathered)?;
        let mut budget = if self.paused { 0 } else { budget };
        moved |= self.guarded(cx, gathered, &mut budget)?;
        if budget > 0 {
            moved |= self.keep_inbox(cx, gathered)?;
            moved |= self.read_timers(cx, gathered)?;
        }
        moved |= self.wake_lanes(cx, gathered, &mut budget, in_flight)?;
        for _ in 0..budget {
            if self.in_flight.len() >= in_flight || gathered.is_full() || !self.take(cx, gathered)? {
                break;
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Takes the next record to its lane. `false` when there is no record, or bounds hold all sources back until units
    /// complete.
    fn take(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered) -> Result<bool, Trouble> {
        for _ in 0..self.sources.len() {
            let place = self.turn;
            if self.take_from(cx, gathered, place)? {
                self.dirty |= self.sources[place].settle();
                return Ok(true);
            }
            self.next_turn();
        }
        Ok(false)
    }

    fn next_turn(&mut self) {
        self.turn = if self.turn + 1 < self.sources.len() { self.turn + 1 } else { 0 };
    }

    /// Takes the next record of a source. A handler that does not wait is done at once.
    fn take_from(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered, place: usize) -> Result<bool, Trouble> {
        let env = Rc::clone(&self.home.env);
        let limits = &env.service.limits;
        let source = &mut self.sources[place];
        let Some(record) = source.first() else { return Ok(false) };
        let (offset, size) = (record.offset, record.size());
        if source.progress.is_done(offset) {
            source.take();
            return Ok(true);
        }
        let incoming = look_at(&env, source, record);
        let lane = incoming.lane(&env, source, record);
        let queued = lane.as_ref().and_then(|lane| self.lanes.queued(lane));
        // A record that was taken before a restart is in the list already, and waiting for it to shrink would be for ever.
        let is_new = offset >= source.progress.next();
        if is_new && source.progress.undone() >= limits.undone.max(1)
            || queued.is_some_and(|queued| queued >= limits.lane_queue)
        {
            return Ok(false);
        }
        if !incoming.is_command() && lane.as_ref().is_some_and(|lane| self.is_full(lane, size)) {
            let position = self.sources[place].partition.at(offset);
            return full(limits, &position).map_or(Ok(false), |cause| Err(Trouble::Stop(cause)));
        }
        let (record, batch_ended) = self.sources[place].take();
        if batch_ended {
            self.next_turn();
        }
        if let Some(waiting) = Waiting::of(place, incoming, record) {
            self.begin(cx, gathered, waiting, lane)?;
        } else {
            self.sources[place].progress.take_done(offset);
            self.dirty = true;
        }
        Ok(true)
    }

    /// Whether a record cannot be parked behind others of its lane, which it has to be.
    fn is_full(&self, lane: &LaneId, size: usize) -> bool {
        let parking = &self.home.books.borrow().parking;
        parking.holds(lane) && !parking.has_room(lane, size, &self.home.env.service.limits)
    }

    /// A unit ended: what it did joins the commit being gathered, or the trouble is told. One that has to begin again later comes back,
    /// with what it waits for.
    fn complete(&mut self, gathered: &mut Gathered, finished: Finished) -> Result<Option<(Rest, Box<Unit>)>, Trouble> {
        let Finished { mut unit, outcome } = finished;
        let (failure, disposition) = match outcome {
            Outcome::Whole(None, Disposition::Done) => (None, self.known(&mut unit)),
            Outcome::Whole(failure, disposition) => (failure, disposition),
            Outcome::Away => return Ok(Some((Rest::Away(unit.handler), unit))),
            Outcome::NoRoom => return Ok(Some((Rest::Room, unit))),
            Outcome::Stop(cause) => (Some(cause), Disposition::Stops),
            Outcome::Restart(answer) => return Err(Trouble::Restart(answer)),
        };
        let env = Rc::clone(&self.home.env);
        let is_told = match disposition {
            Disposition::Done => env.observer.wants_units(),
            Disposition::Marked | Disposition::Kept => false,
            _ => true,
        };
        if is_told {
            env.observer.unit_ended(&UnitEnded {
                handler: &unit.registered().name,
                shard: self.home.shard,
                position: &unit.position(),
                failure: failure.as_ref(),
                disposition,
            });
        }
        if let Settles::Record { source, offset, .. } = &unit.settles {
            let source = self.sources.iter_mut().find(|known| known.partition == *source);
            let progress = &mut source.expect("the unit came from here").progress;
            match disposition {
                // The record stays undone, and nothing of the attempt was kept.
                Disposition::Stops => progress.take(*offset),
                _ => progress.take_done(*offset),
            }
        }
        match (disposition, failure) {
            (Disposition::Stops, Some(cause)) => return Err(Trouble::Stop(cause)),
            (Disposition::Marked, _) => self.guard.wrote(matches!(env.commits, Committing::Unit(_))),
            _ => {}
        }
        if !matches!(disposition, Disposition::Marked | Disposition::Kept) {
            gathered.count(disposition, || Alone {
                handler: unit.handler,
                shard: self.home.shard,
                position: unit.position(),
            });
        }
        // A shard of which nothing is known yet has written its mark by itself, and has nothing to commit.
        self.dirty |= self.sources.iter().any(Source::has_begun);
        self.note(&mut unit);
        unit.entered.drain(..).for_each(|entered| self.home.books.borrow_mut().enter(entered));
        if matches!(env.commits, Committing::Batch(_)) {
            unit.give_effects(&mut gathered.outputs);
            env.recycle(unit.outputs);
        }
        match gathered.too_many_letters(&env.service) {
            Some(cause) => Err(Trouble::Stop(cause)),
            None => Ok(None),
        }
    }

    /// A unit's event is known from now on. Where another unit was quicker with the same event, this one's effects are not kept.
    fn known(&self, unit: &mut Unit) -> Disposition {
        let Some(event) = unit.event else { return Disposition::Done };
        let (topic, offset) = (&unit.origin.topic, unit.record.offset);
        let is_first = self.home.books.borrow_mut().inbox.apply(event, topic, offset, unit.now);
        // Where units commit by themselves, its own commit has told already.
        if is_first || is_planted(Bug::KnownBeforeDone) || matches!(self.home.env.commits, Committing::Unit(_)) {
            return Disposition::Done;
        }
        unit.gives_way();
        Disposition::Copy
    }

    /// Freezes what completed units did for a commit, and writes their page of the journal.
    pub(crate) fn freeze(&mut self, outputs: &mut Outputs) -> ShardCommit {
        let env = Rc::clone(&self.home.env);
        let late = is_planted(Bug::LateCompletion);
        let progress_first = strikes(Bug::ProgressBeforeState);
        self.dirty = progress_first;
        self.guard.freeze();
        let known = self.home.books.borrow_mut().inbox.freeze();
        if !known.is_empty() {
            let entries = known.into_iter().map(|(suffix, value)| (suffix, Some(value))).collect();
            self.home.memory.borrow_mut().write(&runtime_id(Bytes::new()), entries);
        }
        self.write_journal(outputs);
        self.hand_over();
        ShardCommit {
            shard: self.home.shard,
            generation: if late { Generation(u64::MAX) } else { self.home.generation },
            changes: if progress_first {
                Vec::new()
            } else {
                self.home.memory.borrow_mut().freeze(|place| env.service.scope_name(place))
            },
            progress: self.sources.iter().filter_map(Source::to_commit).collect(),
        }
    }

    /// The frozen commit is durable.
    pub(crate) fn committed(&mut self, cache_bytes: usize, inbox_bytes: usize) {
        self.home.books.borrow_mut().inbox.set_bound(inbox_bytes);
        self.home.memory.borrow_mut().committed(cache_bytes);
        self.guard.committed();
    }
}
