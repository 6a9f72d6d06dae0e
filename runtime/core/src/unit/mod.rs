//! The unit of work: one record through one handler, with everything it did, until it is done or given up.

mod act;
mod again;
mod command;
mod guarded;
mod judge;
mod run;
mod settle;

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;

use crate::books::{Books, Entered};
use crate::code::Coded;
use crate::handler::{Failure, HandlerError};
use crate::headers::Headers;
use crate::id::{EventId, IdBase};
use crate::inbox::Chore;
use crate::internal::Command;
use crate::journal::{self, Answered, Ending, Page, note_suffix};
use crate::lane::LaneId;
use crate::outputs::Outputs;
use crate::parking::{Past, Redriven, Slot};
use crate::planted::{Bug, is_planted};
use crate::ports::{Answer, Disposition, Generation, UnitTransaction};
use crate::record::{Position, Record, TopicPartition};
use crate::service::{Registered, Way};
use crate::state::{Memory, Ordered, StateId, runtime_id, state_key};
use crate::time::Timestamp;
use crate::timers::{self, When};
use crate::worker::Env;

pub(crate) use again::{Again, Recorded, again};
pub(crate) use command::{fetch, fetch_timer, kept, next_timers};
pub(crate) use run::{open, run};

/// What a unit needs to know of the shard it runs in.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) env: Rc<Env>,
    pub(crate) memory: Rc<RefCell<Memory>>,
    pub(crate) books: Rc<RefCell<Books>>,
    pub(crate) shard: u32,
    pub(crate) generation: Generation,
}

/// What is done with a unit.
#[derive(Debug, Clone)]
pub(crate) enum Settles {
    /// A record of the log. `since` is the oldest offset that was read of its partition.
    Record { source: TopicPartition, offset: u64, since: u64 },
    /// The first parked record of a lane.
    Parked(Slot),
    /// A timer that fired.
    Timer {
        when: When,
        /// Its name among the timers of its handler and key.
        name: String,
        /// Whose it is.
        handler: String,
    },
    /// None: it is the runtime's own.
    Nothing,
}

/// What is to be done with a record.
#[derive(Debug)]
pub(crate) enum Step {
    /// Its handler takes it.
    Handle,
    /// It is parked, behind others of its lane.
    Queue,
    /// It had its effects before a backfill, which is another handler's.
    Pass,
    /// It has failed already.
    GiveUp(Failure),
    /// It has failed already, and its dead letter is not taken.
    Hold(Failure),
    /// It is an operator's command.
    Command(Box<Command>),
    /// Nothing is done with it: the shard's mark is written, or removed.
    Mark(Option<Bytes>),
    /// Nothing is done with it: something of the inbox is written, or removed.
    Chore(Chore),
}

/// An entry of the runtime's own state: whose it is, what names it, and its new value.
pub(crate) struct Kept {
    pub(crate) id: StateId,
    pub(crate) suffix: Bytes,
    pub(crate) value: Option<Bytes>,
}

/// One record on its way through its handler, and what the present attempt did so far.
pub(crate) struct Unit {
    pub(crate) home: Home,
    /// The partition that the record came from first; its offset is the one there.
    pub(crate) origin: TopicPartition,
    pub(crate) settles: Settles,
    pub(crate) record: Record,
    pub(crate) way: Way,
    pub(crate) handler: usize,
    /// Under which key state is kept; none for a record without a key.
    pub(crate) state: Option<StateId>,
    /// What stands for the record's id where its headers name none; derived from where it came from unless given.
    pub(crate) own_id: Option<String>,
    /// By what the record's event is known in the inbox, if it is to be known there.
    pub(crate) event: Option<u128>,
    /// The record's failures before.
    pub(crate) past: Option<Past>,
    pub(crate) redriven: Option<Redriven>,
    /// The lane under which it is parked, if it is; whoever handles it may have changed since.
    pub(crate) parked_in: Option<LaneId>,
    /// When its first attempt failed, this time.
    pub(crate) failed_at: Option<Timestamp>,
    pub(crate) attempt: u32,
    pub(crate) now: Timestamp,
    pub(crate) writes: Ordered<Option<Bytes>>,
    pub(crate) outputs: Outputs,
    /// What the runtime writes for itself.
    pub(crate) kept: Vec<Kept>,
    /// Which of that, of nobody's lane, may not be there yet.
    pub(crate) once: Option<Bytes>,
    /// What changes in the books when the unit is whole.
    pub(crate) entered: Vec<Entered>,
    pub(crate) id_base: Option<IdBase>,
    /// How it ended, once that is known, and what it was answered from outside in its last attempt: for the journal.
    pub(crate) ended: Option<Ending>,
    pub(crate) answers: Vec<Answered>,
    /// Where it only catches up, so that what its handler emits does not leave: whether that may call outside.
    pub(crate) muted: Option<bool>,
    /// What a call to the outside is answered in a replay; none in a live run.
    pub(crate) recorded: Option<Recorded>,
    /// The note of that which it left, and its number, where it commits by itself.
    pub(crate) note: Option<(u64, Page)>,
    /// How many random numbers the attempt drew.
    pub(crate) draws: u64,
    /// How many timers it scheduled.
    pub(crate) timers: u32,
    /// What went wrong in a call that does not answer with an error, such as an emission. The attempt cannot succeed.
    pub(crate) fault: Option<HandlerError>,
    pub(crate) transaction: Option<Box<dyn UnitTransaction>>,
}

/// How a unit ended. One outcome more, interrupted, is a unit that was dropped before it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is whole: its effects wait to be committed, or are committed where each unit commits by itself. What it failed with,
    /// if it did, and what became of its record.
    Whole(Option<Coded>, Disposition),
    /// What its handler needs is not there: it has to begin again later.
    Away,
    /// It has to be parked, and there is no room: it has to begin again when there is.
    NoRoom,
    /// The service has to stop.
    Stop(Coded),
    /// The unit's own commit did not go through, and the shard has to be read again.
    Restart(Answer),
}

/// A unit that ended.
pub(crate) struct Finished {
    pub(crate) unit: Box<Unit>,
    pub(crate) outcome: Outcome,
}

/// What a unit is made of.
pub(crate) struct Made {
    pub(crate) origin: TopicPartition,
    pub(crate) settles: Settles,
    pub(crate) record: Record,
    pub(crate) way: Way,
    /// Where it only catches up: whether its handler may call outside.
    pub(crate) muted: Option<bool>,
}

impl Unit {
    pub(crate) fn new(home: Home, made: Made) -> Box<Self> {
        let Made { origin, settles, record, way, muted } = made;
        let env = &home.env;
        let handler = env.service.handler_of(way);
        Box::new(Self {
            now: env.time(),
            outputs: env.outputs(),
            state: record.key.clone().map(|key| StateId { handler, key }),
            home,
            origin,
            settles,
            record,
            way,
            handler,
            own_id: None,
            event: None,
            past: None,
            redriven: None,
            parked_in: None,
            failed_at: None,
            attempt: 0,
            writes: Ordered::default(),
            kept: Vec::new(),
            once: None,
            entered: Vec::new(),
            id_base: None,
            ended: None,
            answers: Vec::new(),
            muted,
            recorded: muted.map(|may_call| Recorded { may_call, ..Recorded::default() }),
            note: None,
            draws: 0,
            timers: 0,
            fault: None,
            transaction: None,
        })
    }

    /// A unit of the runtime's own, which is about no record.
    pub(crate) fn of_runtime(home: Home, origin: TopicPartition) -> Box<Self> {
        let record =
            Record { offset: 0, timestamp: Timestamp::default(), key: None, value: None, headers: Headers::default() };
        Self::new(home, Made { origin, settles: Settles::Nothing, record, way: Way::NOWHERE, muted: None })
    }

    pub(crate) fn registered(&self) -> &Registered {
        self.home.env.service.registered(self.handler)
    }

    /// Where the record came from first.
    pub(crate) fn position(&self) -> Position {
        self.origin.at(self.record.offset)
    }

    /// The record's lane.
    pub(crate) fn lane(&self) -> LaneId {
        if let Some(lane) = &self.parked_in {
            return lane.clone();
        }
        self.home.env.service.lane(self.handler, &self.record, &self.position())
    }

    /// The full state key of a cell or map entry.
    pub(crate) fn state_key(&self, suffix: &[u8]) -> Option<Bytes> {
        let key = &self.state.as_ref()?.key;
        Some(state_key(&self.registered().name, key, suffix))
    }

    /// The id of the dead letter that the record has or would have.
    pub(crate) fn letter(&mut self) -> EventId {
        let known = self.redriven.as_ref().and_then(|redriven| EventId::parse(&redriven.letter));
        known.unwrap_or_else(|| EventId::letter(self.id_base()))
    }

    /// Forgets what the attempt before did, and begins the next.
    fn begin(&mut self) {
        self.attempt += 1;
        self.now = self.home.env.time();
        if matches!(self.settles, Settles::Timer { .. }) {
            // The clock may have been set back since.
            self.now = self.now.max(self.record.timestamp);
        }
        self.draws = 0;
        self.timers = 0;
        self.fault = None;
        self.answers.clear();
        self.forget();
    }

    /// Forgets what was done so far.
    pub(crate) fn forget(&mut self) {
        if !is_planted(Bug::AttemptLeavesTrace) {
            self.writes.clear();
            self.outputs.clear();
        }
        self.kept.clear();
        self.once = None;
        self.entered.clear();
        self.fire();
    }

    /// Whatever becomes of the unit: a timer that has fired is there no more.
    fn fire(&mut self) {
        let Settles::Timer { when, name, handler } = &self.settles else { return };
        let key = self.record.key.clone().unwrap_or_default();
        let (when, name, owner) = (*when, timers::name_suffix(name), timers::owner(handler, &key));
        if !is_planted(Bug::TimerStays) {
            self.keep(timers::all(), when.suffix(), None);
        }
        self.keep(owner, name, None);
        self.entered.push(Entered::Fired);
    }

    /// Takes the unit's effects over into the shard's memory, where commits are made of many units.
    pub(crate) fn give_effects(&mut self, outputs: &mut Outputs) {
        let mut memory = self.home.memory.borrow_mut();
        if let Some(state) = &self.state {
            memory.write(state, std::mem::take(&mut self.writes));
        }
        for Kept { id, suffix, value } in self.kept.drain(..) {
            memory.write(&id, std::iter::once((suffix, value)).collect());
        }
        outputs.append(&mut self.outputs);
    }

    /// What the journal is told of it: nothing of a unit of the runtime's own.
    pub(crate) fn told(&mut self) -> Option<journal::Unit<'_>> {
        let ended = self.ended.take()?;
        let answers = std::mem::take(&mut self.answers);
        let cause = match &self.settles {
            Settles::Record { source, offset, .. } => journal::About::Record(&source.topic, *offset),
            Settles::Parked(slot) => journal::About::Parked(slot.lane.clone()),
            Settles::Timer { when, .. } => journal::About::Timer(when.to_bytes()),
            Settles::Nothing => return None,
        };
        Some(journal::Unit { cause, now: self.now, attempt: self.attempt, ended, answers })
    }

    /// Leaves a note for the journal, which commits with it.
    pub(crate) fn leave_note(&mut self) {
        let home = self.home.clone();
        let mut books = home.books.borrow_mut();
        books.journal.stale().for_each(|suffix| self.keep_own(suffix, None));
        let note = self.told().and_then(|unit| books.journal.single(unit));
        if let Some((number, page)) = &note {
            self.keep_own(note_suffix(*number), Some(page.to_bytes()));
        }
        self.note = note;
    }

    /// Writes or removes an entry of the runtime's own, once.
    pub(crate) fn keep(&mut self, id: StateId, suffix: Bytes, value: Option<Bytes>) {
        match self.kept.iter_mut().find(|kept| kept.id == id && kept.suffix == suffix) {
            Some(kept) => kept.value = value,
            None => self.kept.push(Kept { id, suffix, value }),
        }
    }

    /// The same of nobody's lane.
    fn keep_own(&mut self, suffix: Bytes, value: Option<Bytes>) {
        self.keep(runtime_id(Bytes::new()), suffix, value);
    }
}
