//! What follows a failed attempt.

use std::time::Duration;

use crate::code::{Code, Coded};
use crate::failure::{Cause, ErrorClass, Then};
use crate::handler::{Class, Failure, HandlerError};
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
    /// No other attempt of this unit.
    End(End),
}

/// What becomes of a record that is not tried again here and at once.
pub(super) enum End {
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

/// A failure as its policy sees it.
struct Classified {
    class: ErrorClass,
    /// What is said of it in full.
    cause: Coded,
    /// What its maker said.
    said: String,
}

/// The class of a failure that has a policy.
fn classified(unit: &Unit, failure: Failure) -> Classified {
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
            return Classified { class: ErrorClass::Undecodable, cause, said };
        }
        Failure::Refused(cause) => {
            let said = cause.message.clone();
            return Classified { class: ErrorClass::Refused, cause: not_taken(registered, &position, &cause), said };
        }
        Failure::Crashed => {
            let said = "the process ended while it was handled".to_owned();
            let message = format!("handler {name}: record at {position}: {said}, again and again");
            return Classified { class: ErrorClass::Crash, cause: Coded::new(Code::CRASHES, message), said };
        }
        Failure::Panicked(message) => (ErrorClass::Panic, format!("handler {name} panicked: {message}")),
        Failure::TimedOut => {
            (ErrorClass::Timeout, format!("handler {name} did not end within {:?}", registered.timeout))
        }
        Failure::Handler(error) => match error.class() {
            Class::Permanent => (ErrorClass::Permanent, error.to_string()),
            Class::Transient | Class::Unavailable(_) | Class::Fatal(_) => (ErrorClass::Transient, error.to_string()),
        },
    };
    let attempts = unit.attempt;
    let times = if attempts == 1 { "after 1 attempt".to_owned() } else { format!("after {attempts} attempts") };
    let cause = Coded::new(Code::HANDLER_FAILED, format!("handler {name} failed at {position} {times}: {said}"));
    Classified { class, cause, said }
}

/// What follows where the handler needs something that is not there; `None` where it does not declare that.
fn unavailable(unit: &Unit, dependency: &str, message: &str) -> Option<Verdict> {
    let (env, registered) = (&unit.home.env, unit.registered());
    let declared = env.dependencies.place(dependency).filter(|place| registered.needs.contains(place));
    let place = declared.filter(|_| !is_planted(Bug::AwaySpendsAttempts))?;
    if env.dependencies.failed(place, env.clock.now()) {
        env.observer.breaker(dependency, true, message);
    }
    if env.dependencies.is_away(&registered.needs) {
        return Some(Verdict::End(End::Away));
    }
    let delay = registered.policies.of(ErrorClass::Transient).retry.delay(1, &*env.random);
    Some(Verdict::TryAgain { delay, said: message.to_owned(), is_spent: false })
}

/// What follows a failure of an attempt.
pub(super) fn judge(unit: &Unit, mut failure: Failure) -> Verdict {
    if let Failure::Handler(error) = &failure {
        match error.class() {
            Class::Fatal(cause) => return Verdict::End(End::Stop(cause.clone())),
            Class::Unavailable(dependency) => {
                if let Some(verdict) = unavailable(unit, dependency, error.message()) {
                    return verdict;
                }
                // A name that nobody declared is no more than a word.
                let (said, dependency) = (error.message(), dependency.as_str());
                let said = format!("{said} (the handler does not declare .needs({dependency:?}))");
                failure = Failure::Handler(HandlerError::transient(said));
            }
            Class::Transient | Class::Permanent => {}
        }
    }
    let failure = classified(unit, failure);
    let (env, policy) = (&unit.home.env, unit.registered().policies.of(failure.class));
    let delayed = unit.past.as_ref().map_or(0, |past| past.delayed);
    if delayed == 0 && unit.attempt < policy.retry.attempts {
        let delay = policy.retry.delay(unit.attempt, &*env.random);
        return Verdict::TryAgain { delay, said: failure.said, is_spent: true };
    }
    let (then, mut failed) = (policy.then, failed(unit, failure));
    if delayed < policy.delayed.attempts {
        let until = env.clock.now() + policy.delayed.delay(delayed + 1, &*env.random);
        if until.since(Timestamp::from_millis(failed.past.first)) <= policy.total {
            failed.past.delayed += 1;
            return Verdict::End(End::Park { until, failed });
        }
    }
    Verdict::End(End::GiveUp { then, failed })
}

/// What follows a failure that was found out without an attempt, which another would not change.
pub(super) fn judge_for_good(unit: &mut Unit, failure: Failure) -> End {
    unit.attempt = unit.past.as_ref().map_or(1, |past| past.attempts.max(1));
    let failure = classified(unit, failure);
    End::GiveUp { then: unit.registered().policies.of(failure.class).then, failed: failed(unit, failure) }
}

/// What is kept of a failure of a unit that ran before, and whose fate is known.
pub(super) fn failed_again(unit: &Unit, failure: Failure) -> Failed {
    let fatal = match &failure {
        Failure::Handler(error) => match error.class() {
            Class::Fatal(cause) => Some(cause.clone()),
            Class::Transient | Class::Permanent | Class::Unavailable(_) => None,
        },
        _ => None,
    };
    let failed = failed(unit, classified(unit, failure));
    Failed { cause: fatal.unwrap_or(failed.cause), ..failed }
}

/// What is kept of a failure beside the record.
fn failed(unit: &Unit, failure: Classified) -> Failed {
    let Classified { class, cause, said } = failure;
    let now = unit.home.env.clock.now();
    let past = Past {
        attempts: unit.attempt,
        delayed: unit.past.as_ref().map_or(0, |past| past.delayed),
        first: unit.past.as_ref().map_or(unit.failed_at.unwrap_or(now).as_millis(), |past| past.first),
        last: now.as_millis(),
        cause: Cause::new(&unit.registered().name, class, &cause, &said),
    };
    Failed { cause, past }
}
