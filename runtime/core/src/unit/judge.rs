//! What follows a failed attempt.

use std::time::Duration;

use crate::code::{Code, Coded};
use crate::failure::{Cause, ErrorClass, Then};
use crate::handler::{Class, Failure};
use crate::parking::Past;
use crate::planted::{Bug, is_planted};
use crate::record::Position;
use crate::service::{Registered, Way};
use crate::time::Timestamp;
use crate::unit::Unit;

/// What follows a failed attempt.
pub(super) enum Verdict {
    /// Another attempt in place, after this delay. It may be one that spends no attempt.
    TryAgain { delay: Duration, said: String, is_spent: bool },
    /// What the handler needs is away: the record waits until it is back.
    Away,
    /// The record is parked until then.
    Park { until: Timestamp, failed: Failed },
    /// Attempts are spent.
    GiveUp { then: Then, failed: Failed },
    /// The service stops, whatever the policy says.
    Stop(Coded),
}

/// What a record failed with.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) cause: Coded,
    pub(super) past: Past,
}

/// What a unit did cannot be committed, and will not be the next time.
fn not_taken(handler: &Registered, position: &Position, cause: &Coded) -> Coded {
    let (handler, cause) = (&handler.name, &cause.message);
    let message = format!("handler {handler}: record at {position}: what it emitted or changed is refused: {cause}");
    Coded::new(Code::EFFECTS_REFUSED, message)
}

/// The class of a failure, what is said of it in full, and what its maker said.
fn classified(unit: &Unit, failure: Failure) -> Result<Classified, Box<Verdict>> {
    let (registered, position) = (unit.registered(), unit.position());
    let name = &registered.name;
    let (class, said) = match failure {
        Failure::Undecodable(error) => {
            let said = error.to_string();
            let cause = match unit.way {
                Way { route: Way::NONE, .. } => Coded::new(Code::UNKNOWN_TYPE, said.clone()),
                way => {
                    let event = unit.home.env.service.route(way).event;
                    Coded::new(Code::UNDECODABLE, format!("{position} cannot be read as {event}: {said}"))
                }
            };
            return Ok((ErrorClass::Undecodable, cause, said));
        }
        Failure::Refused(cause) => {
            let said = cause.message.clone();
            return Ok((ErrorClass::Refused, not_taken(registered, &position, &cause), said));
        }
        Failure::Crashed => {
            let said = "the process ended while it was handled".to_owned();
            let message = format!("handler {name}: record at {position}: {said}, again and again");
            return Ok((ErrorClass::Crash, Coded::new(Code::CRASHES, message), said));
        }
        Failure::Panicked(message) => (ErrorClass::Panic, format!("handler {name} panicked: {message}")),
        Failure::TimedOut => {
            (ErrorClass::Timeout, format!("handler {name} did not end within {:?}", registered.timeout))
        }
        Failure::Handler(error) => match error.class() {
            Class::Fatal(cause) => return Err(Box::new(Verdict::Stop(cause.clone()))),
            Class::Unavailable(dependency) => {
                return unavailable(unit, dependency, error.message());
            }
            Class::Transient => (ErrorClass::Transient, error.to_string()),
            Class::Permanent => (ErrorClass::Permanent, error.to_string()),
        },
    };
    Ok((class, failed(unit, &said), said))
}

/// What is said of a handler that failed.
fn failed(unit: &Unit, said: &str) -> Coded {
    let (name, position, attempts) = (&unit.registered().name, unit.position(), unit.attempt);
    let times = if attempts == 1 { "after 1 attempt".to_owned() } else { format!("after {attempts} attempts") };
    Coded::new(Code::HANDLER_FAILED, format!("handler {name} failed at {position} {times}: {said}"))
}

type Classified = (ErrorClass, Coded, String);

/// What the handler needs is not there. A name that it does not declare is no more than a word.
fn unavailable(unit: &Unit, dependency: &str, message: &str) -> Result<Classified, Box<Verdict>> {
    let (env, registered) = (&unit.home.env, unit.registered());
    let declared = env.dependencies.place(dependency).filter(|place| registered.needs.contains(place));
    let Some(place) = declared.filter(|_| !is_planted(Bug::AwaySpendsAttempts)) else {
        let said = format!("{message} (the handler does not declare .needs({dependency:?}))");
        return Ok((ErrorClass::Transient, failed(unit, &said), said));
    };
    if env.dependencies.failed(place, env.clock.now()) {
        env.observer.breaker(dependency, true, message);
    }
    if env.dependencies.is_away(&registered.needs) {
        return Err(Box::new(Verdict::Away));
    }
    let delay = registered.policies.of(ErrorClass::Transient).retry.delay(1, &*env.random);
    Err(Box::new(Verdict::TryAgain { delay, said: message.to_owned(), is_spent: false }))
}

/// What follows a failure of an attempt.
pub(super) fn judge(unit: &Unit, failure: Failure) -> Verdict {
    decide(unit, failure, false)
}

/// What follows a failure that was found out without an attempt, which another would not change.
pub(super) fn judge_for_good(unit: &mut Unit, failure: Failure) -> Verdict {
    unit.attempt = unit.past.as_ref().map_or(1, |past| past.attempts.max(1));
    decide(unit, failure, true)
}

fn decide(unit: &Unit, failure: Failure, is_final: bool) -> Verdict {
    let (class, cause, said) = match classified(unit, failure) {
        Ok(classified) => classified,
        Err(verdict) => return *verdict,
    };
    let (env, registered) = (&unit.home.env, unit.registered());
    let policy = registered.policies.of(class);
    let delayed = unit.past.as_ref().map_or(0, |past| past.delayed);
    if !is_final && delayed == 0 && unit.attempt < policy.retry.attempts {
        let delay = policy.retry.delay(unit.attempt, &*env.random);
        return Verdict::TryAgain { delay, said, is_spent: true };
    }
    let now = env.clock.now();
    let first = unit.past.as_ref().map_or(unit.failed_at.unwrap_or(now).as_millis(), |past| past.first);
    let mut past = Past {
        attempts: unit.attempt,
        delayed,
        first,
        last: now.as_millis(),
        cause: Cause::new(&registered.name, class, &cause, &said),
    };
    if !is_final && delayed < policy.delayed.attempts {
        let until = now + policy.delayed.delay(delayed + 1, &*env.random);
        if until.since(Timestamp::from_millis(first)) <= policy.total {
            past.delayed += 1;
            return Verdict::Park { until, failed: Failed { cause, past } };
        }
    }
    Verdict::GiveUp { then: policy.then, failed: Failed { cause, past } }
}
