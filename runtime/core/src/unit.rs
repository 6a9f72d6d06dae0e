//! The unit of work: one record through one handler, with everything it did, until it is done or given up.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::code::{Code, Coded};
use crate::codec::CodecError;
use crate::context::Context;
use crate::handler::{Class, Failure, HandlerError};
use crate::id::IdBase;
use crate::layer::{AttemptError, Next};
use crate::outputs::Outputs;
use crate::planted::{Bug, is_planted};
use crate::ports::{Answer, Change, Committing, Generation, Retrying, UnitEffects, UnitTransaction};
use crate::record::{Position, Record, TopicPartition};
use crate::retry::COMMIT_RETRY;
use crate::service::{Registered, Way};
use crate::state::{Memory, Ordered, StateId, state_key};
use crate::time::Timestamp;
use crate::worker::Env;

/// What a unit needs to know of the shard it runs in.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) env: Rc<Env>,
    pub(crate) memory: Rc<RefCell<Memory>>,
    pub(crate) shard: u32,
    pub(crate) generation: Generation,
}

/// One record on its way through its handler, and what the present attempt did so far.
pub(crate) struct Unit {
    pub(crate) home: Home,
    pub(crate) source: TopicPartition,
    /// The oldest offset that was read of the partition.
    pub(crate) since: u64,
    pub(crate) record: Record,
    pub(crate) way: Way,
    pub(crate) handler: usize,
    /// Under which key state is kept; none for a record without a key.
    pub(crate) state: Option<StateId>,
    pub(crate) attempt: u32,
    pub(crate) now: Timestamp,
    pub(crate) writes: Ordered<Option<Bytes>>,
    pub(crate) outputs: Outputs,
    pub(crate) id_base: Option<IdBase>,
    /// How many random numbers the attempt drew.
    pub(crate) draws: u64,
    /// What went wrong in a call that does not answer with an error, such as an emission. The attempt cannot succeed.
    pub(crate) fault: Option<HandlerError>,
    pub(crate) transaction: Option<Box<dyn UnitTransaction>>,
}

/// How a unit ended. The fourth outcome, interrupted, is a unit that was dropped before it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The handler succeeded; the effects wait to be committed, or are committed where each unit commits by itself.
    Done,
    /// Attempts are spent, or trying again is useless.
    Failed(Coded),
    /// The record cannot be read as the event it says it is.
    Rejected(Coded),
    /// The unit's own commit did not go through, and the shard has to be read again.
    Restart(Answer),
}

/// A unit that ended.
pub(crate) struct Finished {
    pub(crate) unit: Box<Unit>,
    pub(crate) outcome: Outcome,
}

impl Unit {
    pub(crate) fn registered(&self) -> &Registered {
        &self.home.env.service.handlers[self.handler]
    }

    pub(crate) fn position(&self) -> Position {
        self.source.at(self.record.offset)
    }

    /// The full state key of a cell or map entry.
    pub(crate) fn state_key(&self, suffix: &[u8]) -> Option<Bytes> {
        let key = &self.state.as_ref()?.key;
        Some(state_key(&self.registered().name, key, suffix))
    }

    /// The id of the registered schema without which the record cannot be read.
    fn missing_schema(&self) -> Option<u32> {
        self.home.env.service.route(self.way).route.missing(self.record.value.as_ref()?)
    }

    /// Forgets what the attempt before did, and begins the next.
    fn begin(&mut self, attempt: u32) {
        self.attempt = attempt;
        self.now = self.home.env.time();
        if !is_planted(Bug::AttemptLeavesTrace) {
            self.writes.clear();
            self.outputs.clear();
        }
        self.draws = 0;
        self.fault = None;
    }
}

/// Runs a unit to its end: attempts, delays between them and, where units commit by themselves, the commit.
pub(crate) async fn run(mut unit: Box<Unit>) -> Finished {
    if let Some(id) = unit.missing_schema()
        && let Err(error) = Box::pin(learn(&unit, id)).await
    {
        return Finished { outcome: undecodable(&unit, &error), unit };
    }
    let (mut attempt, mut refusals) = (1, 0);
    let outcome = loop {
        unit.begin(attempt);
        match attempt_and_commit(&mut unit).await {
            Ok(Answer::Committed) => break Outcome::Done,
            // The database asked for another try: no fault of the handler, no attempt spent.
            Ok(Answer::NotCommitted(cause)) => {
                refusals += 1;
                if refusals >= COMMIT_RETRY.attempts {
                    break Outcome::Failed(cause);
                }
                let env = &unit.home.env;
                env.observer.commit_failed(&cause, "the unit runs again");
                env.clock.sleep(COMMIT_RETRY.delay(refusals, &*env.random)).await;
            }
            Ok(Answer::Refused(cause)) => {
                break Outcome::Failed(not_taken(unit.registered(), &unit.position(), &cause));
            }
            Ok(answer @ (Answer::Fenced(_) | Answer::Unknown(_))) => break Outcome::Restart(answer),
            Err(failure) => match judge(&unit, failure) {
                Verdict::GiveUp(outcome) => break outcome,
                Verdict::TryAgain(error) => {
                    back_off(&unit, &error).await;
                    attempt += 1;
                }
            },
        }
    };
    Finished { unit, outcome }
}

/// Has the codec learn a schema that its registry holds; without a registry, the codec itself says what is missing. Waiting for it
/// is no attempt: the handler and its layers have no part in it, and no time of theirs runs.
async fn learn(unit: &Unit, id: u32) -> Result<(), CodecError> {
    let env = &unit.home.env;
    let Some(schemas) = &env.schemas else { return Ok(()) };
    let schema = schemas.schema(id).await.map_err(|cause| CodecError(cause.message))?;
    env.service.route(unit.way).route.learn(id, &schema)
}

/// What a unit did cannot be committed, and will not be the next time.
pub(crate) fn not_taken(handler: &Registered, position: &Position, cause: &Coded) -> Coded {
    let (handler, cause) = (&handler.name, &cause.message);
    let message = format!("handler {handler}: record at {position}: what it emitted or changed is refused: {cause}");
    Coded::new(Code::EFFECTS_REFUSED, message)
}

/// One attempt and, where units commit by themselves, its commit. A transaction is open for as long as this runs, never
/// while the unit waits for another attempt.
async fn attempt_and_commit(unit: &mut Unit) -> Result<Answer, Failure> {
    if let Err(cause) = open(unit).await {
        return Ok(refused(cause));
    }
    let Err(failure) = attempt_once(unit).await else { return Ok(commit(unit).await) };
    let had_transaction = unit.transaction.take().is_some();
    match failure {
        // A transaction that broke under the handler is no fault of the handler either.
        Failure::Handler(error) if had_transaction => match error.class() {
            Class::Fatal(cause) if cause.code != Code::STATE_UNREADABLE => Ok(refused(cause.clone())),
            _ => Err(Failure::Handler(error)),
        },
        failure => Err(failure),
    }
}

/// What it means that a transaction could not be opened or used.
fn refused(cause: Coded) -> Answer {
    if cause.code == Code::FENCED { Answer::Fenced(cause) } else { Answer::NotCommitted(cause) }
}

/// Opens the unit's transaction, where units have their own.
async fn open(unit: &mut Unit) -> Result<(), Coded> {
    if let Committing::Unit(commits) = &unit.home.env.commits {
        let commits = Rc::clone(commits);
        unit.transaction = Some(commits.begin(unit.home.shard, unit.home.generation).await?);
    }
    Ok(())
}

/// Commits the unit, where units commit by themselves.
async fn commit(unit: &mut Unit) -> Answer {
    let Some(transaction) = unit.transaction.take() else { return Answer::Committed };
    let writes = std::mem::take(&mut unit.writes);
    let changes = writes
        .into_iter()
        .filter_map(|(suffix, value)| Some(Change { key: unit.state_key(&suffix)?, value }))
        .collect();
    let outputs = std::mem::replace(&mut unit.outputs, unit.home.env.outputs());
    transaction.commit(UnitEffects { done: unit.position(), since: unit.since, changes, outputs }).await
}

/// One attempt, with its time-out, its panics caught, and the faults of calls that cannot answer with an error.
async fn attempt_once(unit: &mut Unit) -> Result<(), Failure> {
    let env = Rc::clone(&unit.home.env);
    let (handler, name) = (unit.handler, Arc::clone(&unit.registered().name));
    let Some(value) = unit.record.value.clone() else {
        let reason = "it has no value, and the event declares no delete".to_owned();
        return Err(Failure::Undecodable(CodecError(reason)));
    };
    let service = Arc::clone(&env.service);
    let (route, registered) = (&*service.route(unit.way).route, &service.handlers[handler]);
    let mut cx = Context::new(unit);
    let call = if registered.layers.is_empty() {
        route.call(&value, &mut cx)
    } else {
        let next = Next { layers: &registered.layers, route, value: &value };
        let layered = next.run(&mut cx);
        Box::pin(async move { layered.await.map_err(|AttemptError(failure)| failure) })
    };
    let guarded = Guarded { call: Some(call), env: &env, handler, sleep: None };
    let ended = guarded.await;
    let failed = |message: String| Err(Failure::Handler(HandlerError::transient(message)));
    match ended {
        Ended::Answered(Ok(())) => match unit.fault.take() {
            Some(fault) => Err(Failure::Handler(fault)),
            None => Ok(()),
        },
        Ended::Answered(Err(failure)) => Err(unit.fault.take().map_or(failure, Failure::Handler)),
        Ended::Panicked(message) => failed(format!("handler {name} panicked: {message}")),
        Ended::TimedOut => failed(format!("handler {name} did not end within {:?}", registered.timeout)),
    }
}

/// What follows a failed attempt.
enum Verdict {
    GiveUp(Outcome),
    TryAgain(HandlerError),
}

/// Whether a failure is the end. The seam for other dispositions than stopping: parking and dead letters.
fn judge(unit: &Unit, failure: Failure) -> Verdict {
    let registered = unit.registered();
    let position = unit.position();
    let error = match failure {
        Failure::Undecodable(error) => return Verdict::GiveUp(undecodable(unit, &error)),
        Failure::Handler(error) => error,
    };
    let outcome = match error.class() {
        Class::Transient if unit.attempt < registered.retry.attempts => return Verdict::TryAgain(error),
        Class::Fatal(cause) => cause.clone(),
        Class::Transient | Class::Permanent => {
            let (name, attempts) = (&registered.name, unit.attempt);
            let times = if attempts == 1 { "after 1 attempt".to_owned() } else { format!("after {attempts} attempts") };
            Coded::new(Code::HANDLER_FAILED, format!("handler {name} failed at {position} {times}: {error}"))
        }
    };
    Verdict::GiveUp(Outcome::Failed(outcome))
}

fn undecodable(unit: &Unit, error: &CodecError) -> Outcome {
    let (position, event) = (unit.position(), unit.home.env.service.route(unit.way).event);
    let message = format!("{position} cannot be read as {event}: {error}");
    Outcome::Rejected(Coded::new(Code::UNDECODABLE, message))
}

/// Waits before the next attempt; only this lane waits.
async fn back_off(unit: &Unit, error: &HandlerError) {
    let (env, registered) = (&unit.home.env, unit.registered());
    let delay = registered.retry.delay(unit.attempt, &*env.random);
    env.observer.retrying(&Retrying {
        handler: &registered.name,
        position: &unit.position(),
        attempt: unit.attempt,
        delay,
        cause: error.message(),
    });
    env.clock.sleep(delay).await;
}

/// How a call to a handler ended.
enum Ended {
    Answered(Result<(), Failure>),
    Panicked(String),
    TimedOut,
}

/// A call to a handler, watched: its panics are caught, its time is bounded, its polls are shown to the watchdog. The clock
/// is asked only when the handler waits.
struct Guarded<'a> {
    /// Taken only when it is dropped.
    call: Option<LocalBoxFuture<'a, Result<(), Failure>>>,
    env: &'a Env,
    handler: usize,
    sleep: Option<BoxFuture<'static, ()>>,
}

impl Future for Guarded<'_> {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Ended> {
        let this = &mut *self;
        let call = this.call.as_mut().expect("polled before it is dropped");
        this.env.heartbeat.enter(this.handler);
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
        this.env.heartbeat.leave();
        match polled {
            Ok(Poll::Ready(answer)) => return Poll::Ready(Ended::Answered(answer)),
            Ok(Poll::Pending) => {}
            Err(payload) => return Poll::Ready(Ended::Panicked(message_of(&*payload))),
        }
        let timeout = this.env.service.handlers[this.handler].timeout;
        let sleep = this.sleep.get_or_insert_with(|| this.env.clock.sleep(timeout));
        sleep.as_mut().poll(cx).map(|()| Ended::TimedOut)
    }
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        // A handler that is interrupted may panic while its values are dropped; others have to go on.
        let call = self.call.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(call)));
    }
}

/// What a panic said.
fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
