//! A shard: partition number p of a service over all its input topics, run as one state machine.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, Stream};

use crate::code::{Code, Coded};
use crate::gathered::{Alone, Gathered};
use crate::headers;
use crate::lane::{LaneId, Lanes};
use crate::planted::{Bug, is_planted, strikes};
use crate::ports::{Answer, Committing, Generation, Log, ShardCommit, UnitEnded};
use crate::progress::Progress;
use crate::record::{Record, RecordBatch, TopicPartition};
use crate::service::{Unknown, Way};
use crate::source::Source;
use crate::state::{Memory, Ordered, StateId};
use crate::unit::{Finished, Home, Outcome, Unit, run};
use crate::worker::Env;

/// A record that a lane will handle.
struct Waiting {
    source: usize,
    way: Way,
    record: Record,
}

/// Why a shard cannot go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The service has to stop; the record and the reason are named.
    Stop(Coded),
    /// What is durable has to be read again.
    Restart(Answer),
}

/// One shard while this worker owns it.
pub(crate) struct Shard {
    pub(crate) home: Home,
    sources: Vec<Source>,
    /// The source whose turn it is.
    turn: usize,
    lanes: Lanes<Waiting>,
    in_flight: FuturesUnordered<LocalBoxFuture<'static, Finished>>,
    /// Whether no unit is to begin.
    paused: bool,
    /// Lanes whose unit ended during the pause.
    held_up: Vec<LaneId>,
    /// Whether anything happened since the last commit that has to be committed.
    dirty: bool,
}

impl Shard {
    pub(crate) fn new(
        env: Rc<Env>,
        shard: u32,
        generation: Generation,
        sources: Vec<(TopicPartition, Option<Progress>)>,
        begins: bool,
    ) -> Self {
        let memory = Rc::new(RefCell::new(Memory::default()));
        let input_of = |topic: &str| env.service.inputs.iter().position(|input| *input.topic == *topic);
        let sources = sources
            .into_iter()
            .map(|(partition, progress)| {
                let input = input_of(&partition.topic).expect("only input topics are assigned");
                Source::new(partition, input, progress)
            })
            .collect();
        Self {
            home: Home { env, memory, shard, generation },
            sources,
            turn: 0,
            lanes: Lanes::default(),
            in_flight: FuturesUnordered::new(),
            paused: false,
            held_up: Vec::new(),
            dirty: begins,
        }
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

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.home.memory.borrow().dirty_bytes()
    }

    /// Forgets what was read and is not under way; it will be read again by whoever owns the shard next. Tells how many
    /// records were waiting in lanes.
    pub(crate) fn forget_unstarted(&mut self) -> usize {
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

    /// Lets units under way go on, then takes up to `budget` records to their lanes while fewer than `in_flight` units are
    /// under way. Tells whether anything happened.
    pub(crate) fn go_on(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        budget: usize,
        in_flight: usize,
    ) -> Result<bool, Trouble> {
        let mut moved = self.poll_units(cx, gathered)?;
        if !self.paused {
            for lane in std::mem::take(&mut self.held_up) {
                self.advance(cx, gathered, &lane)?;
                moved = true;
            }
        }
        for _ in 0..budget {
            if self.in_flight.len() >= in_flight || !self.take(cx, gathered)? {
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
        if source.progress.is_done(record.offset) {
            source.take();
            return Ok(true);
        }
        let way = way_of(&env, source, record).map_err(Trouble::Stop)?;
        let lane = way.and_then(|way| lane_of(&env, way, record));
        let queued = lane.as_ref().and_then(|lane| self.lanes.queued(lane));
        // A record that was taken before a restart is in the list already, and waiting for it to shrink would be for ever.
        let is_new = record.offset >= source.progress.next();
        if is_new && source.progress.undone() >= limits.undone.max(1)
            || queued.is_some_and(|queued| queued >= limits.lane_queue)
        {
            return Ok(false);
        }
        let (record, batch_ended) = source.take();
        if batch_ended {
            self.next_turn();
        }
        let Some(way) = way else {
            self.sources[place].progress.take_done(record.offset);
            self.dirty = true;
            return Ok(true);
        };
        let waiting = Waiting { source: place, way, record };
        match lane {
            Some(lane) if queued.is_some() => {
                self.sources[place].progress.take(waiting.record.offset);
                self.lanes.push(&lane, waiting);
            }
            lane => self.start(cx, gathered, waiting, lane)?,
        }
        Ok(true)
    }

    /// Starts a unit in a lane that is free. One that does not wait is done before this returns.
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        waiting: Waiting,
        lane: Option<LaneId>,
    ) -> Result<(), Trouble> {
        let (source, offset) = (waiting.source, waiting.record.offset);
        if self.launch(cx, gathered, waiting)? {
            self.sources[source].progress.take(offset);
            if let Some(lane) = lane.filter(|_| !is_planted(Bug::LaneShared)) {
                self.lanes.occupy(lane);
            }
        }
        Ok(())
    }

    /// Polls a new unit once; tells whether it has to wait.
    fn launch(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered, waiting: Waiting) -> Result<bool, Trouble> {
        let mut future: LocalBoxFuture<'static, Finished> = Box::pin(run(self.unit(waiting)));
        match future.as_mut().poll(cx) {
            Poll::Ready(finished) => self.complete(gathered, finished).map(|()| false),
            Poll::Pending => {
                self.in_flight.push(future);
                Ok(true)
            }
        }
    }

    fn unit(&self, waiting: Waiting) -> Box<Unit> {
        let env = &self.home.env;
        let handler = env.service.route(waiting.way).handler;
        Box::new(Unit {
            home: self.home.clone(),
            source: self.sources[waiting.source].partition.clone(),
            since: self.sources[waiting.source].since,
            way: waiting.way,
            handler,
            state: waiting.record.key.clone().map(|key| StateId { handler, key }),
            record: waiting.record,
            attempt: 0,
            now: env.time(),
            writes: Ordered::default(),
            outputs: env.outputs(),
            id_base: None,
            draws: 0,
            fault: None,
            transaction: None,
        })
    }

    /// Polls the units under way; those that end free their lane for the next. Tells whether any ended.
    fn poll_units(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered) -> Result<bool, Trouble> {
        let mut any = false;
        while let Poll::Ready(Some(finished)) = Pin::new(&mut self.in_flight).poll_next(cx) {
            any = true;
            let env = Rc::clone(&self.home.env);
            let lane = lane_of(&env, finished.unit.way, &finished.unit.record);
            self.complete(gathered, finished)?;
            match lane {
                Some(lane) if self.paused => self.held_up.push(lane),
                Some(lane) => self.advance(cx, gathered, &lane)?,
                None => {}
            }
        }
        Ok(any)
    }

    /// Runs what waits in a lane until one has to wait itself, or the lane is free.
    fn advance(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered, lane: &LaneId) -> Result<(), Trouble> {
        while let Some(waiting) = self.lanes.next(lane) {
            if self.launch(cx, gathered, waiting)? {
                break;
            }
        }
        Ok(())
    }

    /// A unit ended: what it did joins the commit being gathered, or the trouble is told.
    fn complete(&mut self, gathered: &mut Gathered, finished: Finished) -> Result<(), Trouble> {
        let Finished { mut unit, outcome } = finished;
        let env = Rc::clone(&self.home.env);
        let failure = match outcome {
            Outcome::Done => None,
            Outcome::Failed(cause) | Outcome::Rejected(cause) => Some(cause),
            Outcome::Restart(answer) => return Err(Trouble::Restart(answer)),
        };
        if failure.is_some() || env.observer.wants_units() {
            env.observer.unit_ended(&UnitEnded {
                handler: &unit.registered().name,
                shard: self.home.shard,
                position: &unit.position(),
                failure: failure.as_ref(),
            });
        }
        if let Some(cause) = failure {
            // The record stays undone, and nothing of the attempt was kept.
            let source = self.sources.iter_mut().find(|source| source.partition == unit.source);
            source.expect("the unit came from here").progress.take(unit.record.offset);
            return Err(Trouble::Stop(cause));
        }
        let source = self.sources.iter_mut().find(|source| source.partition == unit.source);
        source.expect("the unit came from here").progress.take_done(unit.record.offset);
        gathered.count(|| Alone { handler: unit.handler, shard: self.home.shard, position: unit.position() });
        self.dirty = true;
        if matches!(env.commits, Committing::Batch(_)) {
            if let Some(state) = &unit.state {
                self.home.memory.borrow_mut().write(state, std::mem::take(&mut unit.writes));
            }
            gathered.outputs.append(&mut unit.outputs);
            env.recycle(unit.outputs);
        }
        Ok(())
    }

    /// Freezes what completed units did for a commit.
    pub(crate) fn freeze(&mut self) -> ShardCommit {
        let env = Rc::clone(&self.home.env);
        let name_of = |handler: usize| &*env.service.handlers[handler].name;
        let late = is_planted(Bug::LateCompletion);
        let progress_first = strikes(Bug::ProgressBeforeState);
        self.dirty = progress_first;
        ShardCommit {
            shard: self.home.shard,
            generation: if late { Generation(u64::MAX) } else { self.home.generation },
            changes: if progress_first { Vec::new() } else { self.home.memory.borrow_mut().freeze(name_of) },
            progress: self.sources.iter().filter_map(Source::to_commit).collect(),
        }
    }

    /// The frozen commit is durable.
    pub(crate) fn committed(&mut self, cache_bytes: usize) {
        self.home.memory.borrow_mut().committed(cache_bytes);
    }
}

/// Which handler a record goes to; `None` for one that is to be ignored.
fn way_of(env: &Env, source: &Source, record: &Record) -> Result<Option<Way>, Coded> {
    let (service, partition) = (&env.service, &source.partition);
    let event = record.headers.get(headers::TYPE);
    if let Some(way) = service.way(source.input, event) {
        return Ok(Some(way));
    }
    match service.inputs[source.input].unknown {
        Unknown::Ignore => Ok(None),
        Unknown::Reject => {
            let what = event
                .map_or("no event type".into(), |event| format!("the event type {:?}", String::from_utf8_lossy(event)));
            let message = format!(
                "{} has {what}, which service {} does not handle; handle it or declare .ignore_unknown({:?})",
                partition.at(record.offset),
                service.name,
                partition.topic
            );
            Err(Coded::new(Code::UNKNOWN_TYPE, message))
        }
    }
}

/// The lane of a record; a record without a key has none, unless its handler takes all in order.
fn lane_of(env: &Env, way: Way, record: &Record) -> Option<LaneId> {
    let handler = env.service.route(way).handler;
    if env.service.handlers[handler].in_order {
        return Some(LaneId::Partition(handler));
    }
    record.key.clone().map(|key| LaneId::Key(StateId { handler, key }))
}
