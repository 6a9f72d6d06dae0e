//! What an instance does with its next event, and what follows from that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::context::Context;
use crate::handler::{Class, Failure, HandlerError};
use crate::planted::{Bug, is_planted};
use crate::retry::Retry;
use crate::saga::Next;
use crate::saga::instance::{Happened, INSTANCE, Instance, Registered, Status, WAITING, Waiting};
use crate::saga::next::To;
use crate::saga::reaction::{Begins, Steps, StoredState, Undoes};
use crate::state::Unreadable;
use crate::time::Timestamp;

/// What the timer says with which a saga goes on by itself.
pub(super) const OWN: &str = "tidemill.saga";
/// Its value where the next thing is to be undone; and where an ended instance is to be forgotten.
pub(super) const UNDO: &[u8] = b"undo";
pub(super) const FORGET: &[u8] = b"forget";
/// What the names of timers begin with that are events which wait.
const WAITS: &str = "tidemill.waits.";

/// What an event means for which there is no instance, where it does not begin one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is a dead letter.
    DeadLetter,
    /// It waits for so long until one begins, and is a dead letter then.
    Wait(Duration),
}

/// What an event means in a state.
pub(super) enum Reaction<G> {
    Step(Arc<dyn Steps<G>>),
    Ignore,
    Wait(Duration),
}

/// A saga with everything that was declared for it.
pub(super) struct Process<G> {
    pub(super) saga: G,
    pub(super) begins: BTreeMap<&'static str, Box<dyn Begins<G>>>,
    pub(super) missing: BTreeMap<&'static str, Missing>,
    /// By state and event.
    pub(super) reactions: BTreeMap<(&'static str, &'static str), Reaction<G>>,
    pub(super) undo: BTreeMap<&'static str, Box<dyn Undoes<G>>>,
    /// How often undoing something is tried.
    pub(super) retry: Retry,
    /// How long an instance that ended is kept.
    pub(super) kept: Duration,
}

fn failed(error: HandlerError) -> Failure {
    Failure::Handler(error)
}

fn permanent(message: impl Into<String>) -> Failure {
    failed(HandlerError::permanent(message))
}

/// Whether a failure ends an instance: another attempt would be of no use, and the record itself could be read.
fn reason_of(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Handler(error) if *error.class() == Class::Permanent => Some(error.message()),
        _ => None,
    }
}

impl<G: Send + Sync + 'static> Process<G> {
    fn reaction<'a>(&'a self, state: &'a str, event: &'a str) -> Option<&'a Reaction<G>> {
        self.reactions.get(&(state, event))
    }

    /// An event of one of the saga's types.
    pub(super) async fn take(&self, event: &'static str, value: &Bytes, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(mut instance) = cx.get(INSTANCE).await.map_err(failed)? else {
            return self.begin(event, value, cx).await;
        };
        if instance.status != Status::Running {
            return Ok(());
        }
        match self.reaction(&instance.state, event) {
            None => {
                let state = &instance.state;
                Err(permanent(format!("an instance is in state {state}, which this saga does not have for {event}")))
            }
            Some(Reaction::Ignore) => self.let_go(cx).await,
            Some(Reaction::Wait(bound)) => self.set_aside(event, *bound, value, cx).await,
            Some(Reaction::Step(step)) => {
                let state = StoredState { version: instance.version, data: &instance.data };
                let next = match step.step(&self.saga, state, value, cx).await {
                    Ok(next) => next,
                    Err(failure) => {
                        let Some(reason) = reason_of(&failure) else { return Err(failure) };
                        if !is_planted(Bug::StepLeavesTrace) {
                            cx.forget().await.map_err(failed)?;
                        }
                        Next::abort(reason)
                    }
                };
                self.follow(&mut instance, event, next, cx).await
            }
        }
    }

    async fn begin(&self, event: &'static str, value: &Bytes, cx: &mut Context<'_>) -> Result<(), Failure> {
        if let Some(begin) = self.begins.get(event) {
            let next = begin.begin(&self.saga, value, cx).await?;
            return self.follow(&mut Instance::new(cx.now()), event, next, cx).await;
        }
        match self.missing.get(event) {
            Some(Missing::Wait(bound)) => self.set_aside(event, *bound, value, cx).await,
            Some(Missing::DeadLetter) | None => {
                Err(permanent(format!("there is no instance that {event} could belong to")))
            }
        }
    }

    /// Does what comes after a step.
    async fn follow(
        &self,
        instance: &mut Instance,
        event: &str,
        next: Next,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let unwritten = |error: Unreadable| permanent(format!("what comes after {event} cannot be written: {error}"));
        for (name, data) in next.undo {
            if !self.undo.contains_key(name) {
                return Err(permanent(format!("{name} would undo a step, and is not declared with .undo")));
            }
            instance.to_undo.push(Registered { name: name.to_owned(), data: data.map_err(unwritten)? });
        }
        let from = instance.state.clone();
        let to = match next.to.map_err(unwritten)? {
            To::State { name, version, data } => {
                if !self.reactions.keys().any(|(state, _)| *state == name) {
                    return Err(permanent(format!("state {name} is not declared with .state")));
                }
                (instance.state, instance.version, instance.data) = (name.to_owned(), version, data);
                name.to_owned()
            }
            To::End { outcome } => {
                instance.status = Status::Ended(outcome.clone());
                outcome
            }
            To::Abort { reason } => {
                instance.status = Status::Compensating;
                instance.reason = Some(reason.clone());
                reason
            }
        };
        self.let_go(cx).await?;
        if instance.state != from {
            self.wake(&instance.state, cx).await?;
        }
        self.happened(instance, event, (from, to), cx).await
    }

    /// Writes the instance down, and sees to what it does next by itself.
    async fn happened(
        &self,
        instance: &mut Instance,
        event: &str,
        (from, to): (String, String),
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let emitted = cx.emitted_types();
        let id = cx.metadata().id().map(str::to_owned);
        let at = cx.now().as_millis();
        instance.remember(Happened { at, event: event.to_owned(), id, from, to, emitted });
        if is_planted(Bug::UndoForgotten) {
            instance.to_undo.clear();
        }
        if instance.status == Status::Compensating && instance.to_undo.is_empty() {
            let is_undone = !instance.undone.is_empty();
            instance.status = Status::Ended(if is_undone { "compensated" } else { "aborted" }.to_owned());
        }
        match instance.status {
            Status::Compensating => {
                let delay =
                    if instance.tries == 0 { Duration::ZERO } else { cx.retry_delay(&self.retry, instance.tries) };
                self.go_on(UNDO, delay, cx).await?;
            }
            Status::Ended(_) => self.go_on(FORGET, self.kept, cx).await?,
            Status::Running | Status::NeedsPerson => {}
        }
        cx.set(INSTANCE, instance.clone());
        Ok(())
    }

    async fn go_on(&self, what: &'static [u8], after: Duration, cx: &mut Context<'_>) -> Result<(), Failure> {
        cx.schedule_own(OWN, cx.now() + after, what).await.map_err(failed)
    }

    /// A timer with which the saga goes on by itself.
    pub(super) async fn own(&self, value: &Bytes, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(mut instance) = cx.get(INSTANCE).await.map_err(failed)? else { return Ok(()) };
        if value == FORGET {
            if matches!(instance.status, Status::Ended(_)) {
                cx.clear(INSTANCE);
                cx.clear(WAITING);
            }
            return Ok(());
        }
        let next = instance.to_undo.last().cloned().filter(|_| instance.status == Status::Compensating);
        let Some(next) = next else { return Ok(()) };
        let undone = match self.undo.get(&*next.name) {
            Some(undo) => undo.undo(&self.saga, &next.data, cx).await,
            None => Err(permanent(format!("{} is not declared with .undo any more", next.name))),
        };
        let state = instance.state.clone();
        let to = match undone {
            Ok(()) => {
                let repeats = is_planted(Bug::UndoRepeats) && instance.undone.is_empty();
                if !repeats {
                    instance.to_undo.pop();
                }
                instance.undone.push(next.name.clone());
                instance.tries = 0;
                "undone".to_owned()
            }
            Err(Failure::Handler(error)) if !matches!(error.class(), Class::Fatal(_)) => {
                cx.forget().await.map_err(failed)?;
                instance.tries += 1;
                if *error.class() == Class::Permanent || instance.tries >= self.retry.attempts {
                    instance.status = Status::NeedsPerson;
                    instance.reason = Some(format!("{} cannot be undone: {}", next.name, error.message()));
                }
                error.message().to_owned()
            }
            Err(failure) => return Err(failure),
        };
        self.happened(&mut instance, &format!("undo {}", next.name), (state, to), cx).await
    }

    /// An event waits, as a timer that is due when it has waited for too long.
    async fn set_aside(
        &self,
        event: &'static str,
        bound: Duration,
        value: &Bytes,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let mut waiting = cx.get(WAITING).await.map_err(failed)?.unwrap_or_default();
        let before = cx.fired().and_then(|name| waiting.iter().find(|waits| waits.timer == name).cloned());
        let (timer, until) = match before {
            Some(before) if cx.now().as_millis() >= before.until => {
                return Err(permanent(format!("{event} has waited for as long as it may")));
            }
            Some(before) => (before.timer, Timestamp::from_millis(before.until)),
            None => {
                let (timer, until) = (format!("{WAITS}{}", cx.idempotency_key()), cx.now() + bound);
                let (event, millis) = (event.to_owned(), until.as_millis());
                waiting.push(Waiting { timer: timer.clone(), event, until: millis });
                cx.set(WAITING, waiting);
                (timer, until)
            }
        };
        let headers = cx.metadata().headers().clone();
        cx.schedule_record(&timer, until, headers, value.clone()).await.map_err(failed)
    }

    /// The unit's event waits no more, if it did.
    async fn let_go(&self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(name) = cx.fired().filter(|name| name.starts_with(WAITS)).map(str::to_owned) else { return Ok(()) };
        let mut waiting = cx.get(WAITING).await.map_err(failed)?.unwrap_or_default();
        waiting.retain(|waits| waits.timer != name);
        cx.set(WAITING, waiting);
        Ok(())
    }

    /// Events that do not wait any more in this state come again, in their order.
    async fn wake(&self, state: &str, cx: &mut Context<'_>) -> Result<(), Failure> {
        let waiting = cx.get(WAITING).await.map_err(failed)?.unwrap_or_default();
        for waits in &waiting {
            let waits_on = matches!(self.reaction(state, &waits.event), Some(Reaction::Wait(_)));
            if !waits_on && !is_planted(Bug::WaitingForgotten) {
                cx.hurry(&waits.timer).await.map_err(failed)?;
            }
        }
        Ok(())
    }
}
