//! A unit from its begin to its end: attempts, delays between them and, where units commit by themselves, the commit.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::code::{Code, Coded};
use crate::codec::CodecError;
use crate::context::Context;
use crate::failure::Then;
use crate::handler::{Class, Failure, Route};
use crate::journal::Ending;
use crate::layer::{AttemptError, Layer, Next};
use crate::parking::full;
use crate::ports::{Answer, Change, Committing, Disposition, Done, Retrying, UnitEffects};
use crate::retry::COMMIT_RETRY;
use crate::state::{own_key, runtime_id};
use crate::unit::act::Act;
use crate::unit::guarded::{Ended, Guarded};
use crate::unit::judge::{End, Verdict, judge, judge_for_good};
use crate::unit::settle::{conclude, has_room, is_copy, is_refused, settle, suppress};
use crate::unit::{Finished, Kept, Outcome, Settles, Step, Unit};
use crate::worker::Env;

/// Runs a unit to its end.
pub(crate) async fn run(mut unit: Box<Unit>, step: Step) -> Finished {
    let outcome = match step {
        Step::Handle => handle(&mut unit).await,
        Step::Queue => settle(&mut unit, &Act::Queue).await,
        Step::Pass => settle(&mut unit, &Act::Pass).await,
        Step::Command(command) => settle(&mut unit, &Act::Command(command)).await,
        Step::Mark(mark) => settle(&mut unit, &Act::Mark(mark)).await,
        Step::Chore(chore) => settle(&mut unit, &Act::Chore(chore)).await,
        Step::GiveUp(failure) => {
            let end = judge_for_good(&mut unit, failure);
            finish(&mut unit, end).await
        }
        Step::Hold(failure) => match judge_for_good(&mut unit, failure) {
            End::GiveUp { then: Then::Continue | Then::Hold, failed } => settle(&mut unit, &Act::Hold { failed }).await,
            end => finish(&mut unit, end).await,
        },
    };
    Finished { unit, outcome }
}

/// Attempts until one succeeds or another would be of no use.
async fn handle(unit: &mut Unit) -> Outcome {
    if is_refused(unit) {
        return settle(unit, &Act::Refuse).await;
    }
    unit.attempt = unit.past.as_ref().map_or(0, |past| past.attempts);
    let mut refusals = 0;
    loop {
        match is_copy(unit).await {
            Ok(false) => {}
            Ok(true) => return Box::pin(suppress(unit)).await,
            Err(cause) => return Outcome::Restart(refused(cause)),
        }
        let learned = learn_missing(unit).await;
        unit.begin();
        let answer = match learned {
            Ok(()) => attempt_and_commit(unit).await,
            Err(error) => Err(Failure::Undecodable(error)),
        };
        let failure = match answer {
            Ok(Answer::Committed) => {
                let env = &unit.home.env;
                for place in &unit.registered().needs {
                    if env.dependencies.succeeded(*place) {
                        env.observer.breaker(env.dependencies.name(*place), false, "");
                    }
                }
                return Outcome::Whole(None, Disposition::Done);
            }
            // The database asked for another try: no fault of the handler, no attempt spent.
            Ok(Answer::NotCommitted(cause)) => {
                // Where it does not answer, it is waited for.
                refusals += u32::from(cause.code != Code::DATABASE_UNREACHABLE);
                if refusals >= COMMIT_RETRY.attempts {
                    return Outcome::Stop(cause);
                }
                unit.attempt -= 1;
                let env = &unit.home.env;
                env.observer.commit_failed(&cause, "the unit runs again");
                env.clock.sleep(COMMIT_RETRY.delay(refusals.max(1), &*env.random)).await;
                continue;
            }
            Ok(Answer::Refused(cause)) => Failure::Refused(cause),
            Ok(answer @ (Answer::Fenced(_) | Answer::Unknown(_))) => return Outcome::Restart(answer),
            Err(failure) => failure,
        };
        unit.failed_at.get_or_insert(unit.home.env.clock.now());
        match judge(unit, failure) {
            Verdict::TryAgain { delay, said, is_spent } => {
                back_off(unit, delay, &said).await;
                unit.attempt -= u32::from(!is_spent);
            }
            Verdict::End(end) => return finish(unit, end).await,
        }
    }
}

/// Waits before the next attempt; only this lane waits.
async fn back_off(unit: &Unit, delay: Duration, cause: &str) {
    let (env, position) = (&unit.home.env, unit.position());
    let (handler, attempt) = (&unit.registered().name, unit.attempt);
    env.observer.retrying(&Retrying { handler, position: &position, attempt, delay, cause });
    env.clock.sleep(delay).await;
}

/// Does with a record what its failure leads to.
async fn finish(unit: &mut Unit, end: End) -> Outcome {
    match end {
        End::Away => Outcome::Away,
        End::Stop(cause) => Outcome::Stop(cause),
        End::GiveUp { then: Then::Stop, failed } => Outcome::Stop(failed.cause),
        End::Park { .. } | End::GiveUp { then: Then::Hold, .. } if !has_room(unit) => {
            full(&unit.home.env.service.limits, &unit.position()).map_or(Outcome::NoRoom, Outcome::Stop)
        }
        End::Park { until, failed } => settle(unit, &Act::Park { until, failed }).await,
        End::GiveUp { then, failed } => settle(unit, &Act::Letter { then, failed }).await,
    }
}

impl Unit {
    /// The id of the registered schema without which the record cannot be read.
    fn missing_schema(&self) -> Option<u32> {
        self.home.env.service.route(self.way).route.reader().missing(self.record.value.as_ref()?)
    }
}

/// Waits for a schema that the record needs and its codec misses.
pub(super) async fn learn_missing(unit: &Unit) -> Result<(), CodecError> {
    match unit.missing_schema() {
        Some(id) => Box::pin(learn(unit, id)).await,
        None => Ok(()),
    }
}

/// Has the codec learn a schema that its registry holds; without a registry, the codec itself says what is missing. Waiting for it
/// is no attempt: the handler and its layers have no part in it, and no time of theirs runs.
async fn learn(unit: &Unit, id: u32) -> Result<(), CodecError> {
    let env = &unit.home.env;
    let Some(schemas) = &env.schemas else { return Ok(()) };
    let schema = schemas.schema(id).await.map_err(|cause| CodecError(cause.message))?;
    env.service.route(unit.way).route.reader().learn(id, &schema)
}

/// One attempt and, where units commit by themselves, its commit. A transaction is open for as long as this runs, never
/// while the unit waits for another attempt.
async fn attempt_and_commit(unit: &mut Unit) -> Result<Answer, Failure> {
    if let Err(cause) = open(unit).await {
        return Ok(refused(cause));
    }
    let Err(failure) = attempt_once(unit).await else {
        conclude(unit);
        unit.ended = Some(if unit.muted.is_some() { Ending::Muted } else { Ending::Done });
        return Ok(commit(unit).await);
    };
    let transaction = unit.transaction.take();
    // A transaction that broke under the handler is no fault of the handler either.
    if let Some(cause) = transaction.as_ref().and_then(|transaction| transaction.broken()) {
        return Ok(refused(cause));
    }
    match failure {
        // Where the next transaction could not be opened either, there is none.
        Failure::Handler(error) if matches!(unit.home.env.commits, Committing::Unit(_)) => match error.class() {
            Class::Fatal(cause) if !matches!(cause.code, Code::STATE_UNREADABLE | Code::CALL_NOT_RECORDED) => {
                Ok(refused(cause.clone()))
            }
            _ => Err(Failure::Handler(error)),
        },
        failure => Err(failure),
    }
}

/// What it means that a transaction could not be opened or used.
pub(super) fn refused(cause: Coded) -> Answer {
    if cause.code == Code::FENCED { Answer::Fenced(cause) } else { Answer::NotCommitted(cause) }
}

/// Opens the unit's transaction, where units have their own.
pub(crate) async fn open(unit: &mut Unit) -> Result<(), Coded> {
    if let Committing::Unit(commits) = &unit.home.env.commits {
        let commits = Rc::clone(commits);
        unit.transaction = Some(commits.begin(unit.home.shard, unit.home.generation).await?);
    }
    Ok(())
}

/// Commits the unit, where units commit by themselves.
pub(super) async fn commit(unit: &mut Unit) -> Answer {
    let Some(transaction) = unit.transaction.take() else { return Answer::Committed };
    unit.leave_note();
    let writes = std::mem::take(&mut unit.writes);
    let mut changes: Vec<Change> = writes
        .into_iter()
        .filter_map(|(suffix, value)| Some(Change { key: unit.state_key(&suffix)?, value }))
        .collect();
    let kept = unit.kept.drain(..);
    changes.extend(kept.map(|Kept { id, suffix, value }| Change { key: own_key(&id, &suffix), value }));
    let outputs = std::mem::replace(&mut unit.outputs, unit.home.env.outputs());
    let done = match &unit.settles {
        Settles::Record { source, offset, since } => Some(Done { position: source.at(*offset), since: *since }),
        Settles::Parked(_) | Settles::Timer { .. } | Settles::Nothing => None,
    };
    let once = unit.once.take().map(|suffix| own_key(&runtime_id(Bytes::new()), &suffix));
    transaction.commit(UnitEffects { done, changes, once, outputs }).await
}

/// One attempt, with its time-out, its panics caught, and the faults of calls that cannot answer with an error.
pub(super) async fn attempt_once(unit: &mut Unit) -> Result<(), Failure> {
    let env = Rc::clone(&unit.home.env);
    let handler = unit.handler;
    let Some(value) = unit.record.value.clone() else {
        let reason = "it has no value, and the event declares no delete".to_owned();
        return Err(Failure::Undecodable(CodecError(reason)));
    };
    let service = Arc::clone(&env.service);
    let (route, registered) = (&*service.route(unit.way).route, service.registered(handler));
    let mut cx = Context::new(unit);
    let ended = called(&env, handler, registered.layers.as_slice(), route, &value, &mut cx).await;
    match ended {
        Ended::Answered(Ok(())) => match unit.fault.take() {
            Some(fault) => Err(Failure::Handler(fault)),
            None => Ok(()),
        },
        Ended::Answered(Err(failure)) => Err(unit.fault.take().map_or(failure, Failure::Handler)),
        Ended::Panicked(message) => Err(Failure::Panicked(message)),
        Ended::TimedOut => Err(Failure::TimedOut),
    }
}

/// Calls the handler through its layers, watched.
async fn called(
    env: &Env,
    handler: usize,
    layers: &[Arc<dyn Layer>],
    route: &dyn Route,
    value: &Bytes,
    cx: &mut Context<'_>,
) -> Ended {
    let call = if layers.is_empty() {
        route.call(value, cx)
    } else {
        let layered = Next { layers, route, value }.run(cx);
        Box::pin(async move { layered.await.map_err(|AttemptError(failure)| failure) })
    };
    Guarded { call: Some(call), env, handler, sleep: None }.await
}
