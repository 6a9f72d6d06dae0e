//! What an instance does by itself: what it did is undone, the last first, and an end is forgotten; and what a person does where that fails.

use std::time::Duration;

use bytes::Bytes;

use crate::context::Context;
use crate::handler::{Class, Failure};
use crate::internal::{Became, Command, Help, Operation, Order, Wish};
use crate::planted::{Bug, is_planted};
use crate::saga::instance::{INSTANCE, Instance, Status, WAITING};
use crate::saga::process::{Process, failed, permanent};
use crate::saga::waiting::tidy;
use crate::state::decode;

/// What the timer says with which a saga goes on by itself.
pub(super) const OWN: &str = "tidemill.saga";
/// Its value where the next thing is to be undone; and where an ended instance is to be forgotten.
pub(super) const UNDO: &[u8] = b"undo";
pub(super) const FORGET: &[u8] = b"forget";
/// And where events have waited for too long.
pub(super) const TIDY: &[u8] = b"tidy";

impl<G: Send + Sync + 'static> Process<G> {
    pub(super) async fn go_on(
        &self,
        what: &'static [u8],
        after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        cx.schedule_own(OWN, cx.now() + after, what).await.map_err(failed)
    }

    /// A timer with which the saga goes on by itself.
    pub(super) async fn own(&self, value: &Bytes, cx: &mut Context<'_>) -> Result<(), Failure> {
        if value == TIDY {
            return tidy(cx).await;
        }
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
        let undone = cx.fault().map_or(undone, |fault| Err(failed(fault)));
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

    /// What an operator wants of an instance that needs a person. It is recorded, whatever becomes of it.
    pub(super) async fn help(&self, value: &Bytes, cx: &mut Context<'_>) -> Result<(), Failure> {
        let unreadable = || permanent("it is no command that this build knows");
        let Command { order, wish, .. } = decode::<Command>(value).map_err(|_| unreadable())?;
        let Wish::Saga(help) = &wish else { return Err(unreadable()) };
        let (became, detail) = match cx.get(INSTANCE).await.map_err(failed)? {
            None => (Became::Refused, "there is no instance of this key"),
            Some(instance) if needs_person(&instance, cx).await? => {
                self.helped(instance, help, (wish.name(), &order), cx).await?;
                (Became::Done, "")
            }
            Some(_) => (Became::Refused, "the instance does not need a person"),
        };
        let operation = Operation::of(&order, wish.name(), became, cx.now());
        cx.report(Operation { detail: detail.to_owned(), ..operation });
        Ok(())
    }

    /// Does what an operator wants of an instance that needs a person.
    async fn helped(
        &self,
        mut instance: Instance,
        help: &Help,
        (act, order): (&str, &Order),
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let state = instance.state.clone();
        let left = instance.to_undo.last().map(|registered| registered.name.clone()).unwrap_or_default();
        instance.tries = 0;
        instance.status = Status::Compensating;
        let done = match help {
            Help::Retry => format!("undo {left} again"),
            Help::Skip => {
                instance.to_undo.pop();
                instance.skipped.push(left.clone());
                format!("skip {left}")
            }
            Help::Finish { outcome } => {
                instance.status = Status::Ended(outcome.clone());
                format!("end {outcome}")
            }
        };
        let event = format!("{act} by {}", order.by);
        self.happened(&mut instance, &event, (state, format!("{done}: {}", order.reason)), cx).await
    }
}

/// Whether nothing more happens to an instance by itself, though it is not undone.
async fn needs_person(instance: &Instance, cx: &mut Context<'_>) -> Result<bool, Failure> {
    match instance.status {
        Status::NeedsPerson => Ok(true),
        // What it did next failed in another way than by an error, and is a dead letter. It would be before this one if it were parked.
        Status::Compensating => Ok(cx.when(OWN).await.map_err(failed)?.is_none()),
        Status::Running | Status::Ended(_) => Ok(false),
    }
}
