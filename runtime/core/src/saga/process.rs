//! What an instance does with its next event, and what follows from a step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::context::Context;
use crate::handler::{Class, Failure, HandlerError};
use crate::planted::{Bug, is_planted};
use crate::retry::Retry;
use crate::saga::instance::{Happened, INSTANCE, Instance, Registered, Status};
use crate::saga::next::{Leads, Next, To};
use crate::saga::reaction::{Begins, Looks, Steps, StoredState, Undoes};
use crate::saga::undoing::{FORGET, UNDO};
use crate::state::Unreadable;

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
    Step(Arc<dyn Steps<G>>, Vec<Leads>),
    Ignore,
    Wait(Duration),
}

/// How an event begins an instance, and where that may lead.
pub(super) struct Beginning<G> {
    pub(super) begin: Box<dyn Begins<G>>,
    pub(super) leads: Vec<Leads>,
}

/// A state with everything that was declared for it.
pub(super) struct Stated<G> {
    pub(super) version: u32,
    /// How what is stored of it is looked at.
    pub(super) looks: Looks,
    /// What events mean in it.
    pub(super) reactions: BTreeMap<&'static str, Reaction<G>>,
}

/// A saga with everything that was declared for it.
pub(super) struct Process<G> {
    pub(super) saga: G,
    pub(super) begins: BTreeMap<&'static str, Beginning<G>>,
    pub(super) missing: BTreeMap<&'static str, Missing>,
    pub(super) states: BTreeMap<&'static str, Stated<G>>,
    pub(super) undo: BTreeMap<&'static str, Box<dyn Undoes<G>>>,
    /// How often undoing something is tried.
    pub(super) retry: Retry,
    /// How long an instance that ended is kept.
    pub(super) kept: Duration,
}

pub(super) fn failed(error: HandlerError) -> Failure {
    Failure::Handler(error)
}

pub(super) fn permanent(message: impl Into<String>) -> Failure {
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
    pub(super) fn reaction(&self, state: &str, event: &str) -> Option<&Reaction<G>> {
        self.states.get(state)?.reactions.get(event)
    }

    /// What stored instances have to agree with: the same text for the same declaration.
    pub(super) fn shape(&self) -> String {
        let states = self.states.iter().map(|(state, stated)| format!("{state} {}", stated.version));
        let undo = self.undo.keys().map(|name| format!("undo {name}"));
        states.chain(undo).collect::<Vec<_>>().join(", ")
    }

    /// Whether this declaration can go on with an instance that is stored; else why not.
    pub(super) fn can_go_on(&self, instance: &Instance) -> Result<(), String> {
        let Instance { status, state, version, data, to_undo, .. } = instance;
        if matches!(status, Status::Ended(_)) {
            return Ok(());
        }
        if *status == Status::Running {
            let stated = self.states.get(&**state).ok_or_else(|| format!("state {state} is not declared"))?;
            let stored = StoredState { version: *version, data };
            (stated.looks)(stored).map_err(|error| format!("state {state}: {error}"))?;
        }
        for Registered { name, data } in to_undo {
            let undo = self.undo.get(&**name).ok_or_else(|| format!("{name} has to be undone and is not declared"))?;
            undo.looks(data).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    /// An event of one of the saga's types.
    pub(super) async fn take(&self, event: &'static str, value: &Bytes, cx: &mut Context<'_>) -> Result<(), Failure> {
        if !cx.take_reply().await.map_err(failed)? {
            return Ok(());
        }
        let Some(mut instance) = cx.get(INSTANCE).await.map_err(failed)? else {
            return self.begin(event, value, cx).await;
        };
        if instance.status != Status::Running || self.comes_behind(event, value, cx).await? {
            return Ok(());
        }
        match self.reaction(&instance.state, event) {
            None => {
                let state = &instance.state;
                Err(permanent(format!("an instance is in state {state}, which this saga does not have for {event}")))
            }
            Some(Reaction::Ignore) => self.let_go(cx).await,
            Some(Reaction::Wait(bound)) => self.set_aside(event, *bound, value, cx).await,
            Some(Reaction::Step(step, leads)) => {
                let state = StoredState { version: instance.version, data: &instance.data };
                let stepped = step.step(&self.saga, state, value, cx).await;
                let next = match cx.fault().map_or(stepped, |fault| Err(failed(fault))) {
                    Ok(next) => (next, &**leads),
                    Err(failure) => {
                        let Some(reason) = reason_of(&failure) else { return Err(failure) };
                        if !is_planted(Bug::StepLeavesTrace) {
                            cx.forget().await.map_err(failed)?;
                            cx.take_reply().await.map_err(failed)?;
                        }
                        (Next::abort(reason), &[Leads::abort()][..])
                    }
                };
                self.follow(&mut instance, event, next, cx).await
            }
        }
    }

    async fn begin(&self, event: &'static str, value: &Bytes, cx: &mut Context<'_>) -> Result<(), Failure> {
        if let Some(Beginning { begin, leads }) = self.begins.get(event) {
            let next = begin.begin(&self.saga, value, cx).await?;
            return self.follow(&mut Instance::new(cx.now()), event, (next, leads), cx).await;
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
        (next, leads): (Next, &[Leads]),
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let unwritten = |error: Unreadable| permanent(format!("what comes after {event} cannot be written: {error}"));
        let to = next.to.map_err(unwritten)?;
        if !leads.iter().any(|leads| leads.is(&to)) {
            let state = if instance.state.is_empty() { "no instance" } else { &instance.state };
            return Err(permanent(format!("{event} in {state} led to {to}, where it is not declared to lead")));
        }
        for (name, data) in next.undo {
            if !self.undo.contains_key(name) {
                return Err(permanent(format!("{name} would undo a step, and is not declared with .undo")));
            }
            instance.to_undo.push(Registered { name: name.to_owned(), data: data.map_err(unwritten)? });
        }
        let from = instance.state.clone();
        let to = match to {
            To::State { name, version, data } => {
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
    pub(super) async fn happened(
        &self,
        instance: &mut Instance,
        event: &str,
        (from, to): (String, String),
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let emitted = cx.emitted_types();
        let id = cx.metadata().id().map(str::to_owned);
        let at = cx.now().as_millis();
        instance.remember(Happened { at, event: event.to_owned(), id, from, to, emitted, times: 1 });
        if is_planted(Bug::UndoForgotten) {
            instance.to_undo.clear();
        }
        if instance.status == Status::Compensating && instance.to_undo.is_empty() {
            let did_nothing = instance.undone.is_empty() && instance.skipped.is_empty();
            instance.status = Status::Ended(if did_nothing { "aborted" } else { "compensated" }.to_owned());
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
}
