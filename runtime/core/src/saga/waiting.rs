//! Events of an instance that come too early: they wait, as timers, until its state changes. Then they come again in their order, and whatever
//! comes meanwhile comes behind them.

use std::time::Duration;

use bytes::Bytes;

use crate::context::Context;
use crate::handler::Failure;
use crate::planted::{Bug, is_planted};
use crate::saga::instance::{WAITING, Waiting};
use crate::saga::process::{Process, Reaction, failed, permanent};
use crate::saga::undoing::TIDY;
use crate::time::Timestamp;

/// What the names of timers begin with that are events which wait.
const WAITS: &str = "tidemill.waits.";

/// The name of the timer that this event is while it waits: the same whenever it comes.
fn timer_of(cx: &mut Context<'_>) -> String {
    format!("{WAITS}{}", cx.idempotency_key())
}

async fn all(cx: &mut Context<'_>) -> Result<Vec<Waiting>, Failure> {
    Ok(cx.get(WAITING).await.map_err(failed)?.unwrap_or_default())
}

fn keep(waiting: Vec<Waiting>, cx: &mut Context<'_>) {
    if waiting.is_empty() { cx.clear(WAITING) } else { cx.set(WAITING, waiting) }
}

/// Forgets events that have waited for too long: they are dead letters, which wrote nothing.
pub(super) async fn tidy(cx: &mut Context<'_>) -> Result<(), Failure> {
    let (mut waiting, now) = (all(cx).await?, cx.now().as_millis());
    waiting.retain(|waits| waits.until >= now);
    keep(waiting, cx);
    Ok(())
}

impl<G: Send + Sync + 'static> Process<G> {
    /// An event waits, as a timer that is due when it has waited for too long.
    pub(super) async fn set_aside(
        &self,
        event: &'static str,
        bound: Duration,
        value: &Bytes,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let (timer, mut waiting, now) = (timer_of(cx), all(cx).await?, cx.now());
        let before = waiting.iter().position(|waits| waits.timer == timer).map(|place| waiting.remove(place));
        let until = match before.filter(|waits| waits.until != Waiting::BEHIND) {
            Some(before) if now.as_millis() >= before.until => {
                return Err(permanent(format!("{event} has waited for as long as it may")));
            }
            Some(before) => Timestamp::from_millis(before.until),
            None => now + bound,
        };
        waiting.push(Waiting {
            timer: timer.clone(),
            event: event.to_owned(),
            until: until.as_millis(),
            is_woken: false,
        });
        let bounds = waiting.iter().map(|waits| waits.until).filter(|until| *until != Waiting::BEHIND);
        let last = bounds.max().unwrap_or_default();
        keep(waiting, cx);
        cx.wait(&timer, until, value.clone()).await.map_err(failed)?;
        let tidies = Timestamp::from_millis(last) + Duration::from_millis(1);
        self.go_on(TIDY, tidies.since(now), cx).await
    }

    /// Whether the event has to come behind others of its key that were woken before it came; then it will.
    pub(super) async fn comes_behind(
        &self,
        event: &'static str,
        value: &Bytes,
        cx: &mut Context<'_>,
    ) -> Result<bool, Failure> {
        let waiting = all(cx).await?;
        if !waiting.iter().any(|waits| waits.is_woken) {
            return Ok(false);
        }
        let timer = timer_of(cx);
        if waiting.iter().any(|waits| waits.timer == timer) {
            return Ok(false);
        }
        let mut last = None;
        let mut there = Vec::new();
        for waits in waiting {
            let when = if waits.is_woken { cx.when(&waits.timer).await.map_err(failed)? } else { None };
            // One that failed for good is not there any more.
            if !waits.is_woken || when.is_some() {
                there.push(waits);
            }
            last = last.max(when);
        }
        let is_behind = last.is_some();
        if let Some(last) = last {
            let until = Waiting::BEHIND;
            there.push(Waiting { timer: timer.clone(), event: event.to_owned(), until, is_woken: true });
            cx.wait_behind(&timer, last, value.clone()).await.map_err(failed)?;
        }
        keep(there, cx);
        Ok(is_behind)
    }

    /// The unit's event waits no more, if it did.
    pub(super) async fn let_go(&self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if !cx.comes_again() {
            return Ok(());
        }
        let (timer, mut waiting) = (timer_of(cx), all(cx).await?);
        let before = waiting.len();
        waiting.retain(|waits| waits.timer != timer);
        if waiting.len() < before {
            keep(waiting, cx);
        }
        Ok(())
    }

    /// Events that do not wait any more in this state come again, in their order.
    pub(super) async fn wake(&self, state: &str, cx: &mut Context<'_>) -> Result<(), Failure> {
        let (mut waiting, mut last) = (all(cx).await?, None);
        let mut is_changed = false;
        for waits in waiting.iter_mut().filter(|waits| !waits.is_woken) {
            let waits_on = matches!(self.reaction(state, &waits.event), Some(Reaction::Wait(_)));
            if !waits_on && !is_planted(Bug::WaitingForgotten) {
                last = cx.hurry(&waits.timer, last).await.map_err(failed)?;
                (waits.is_woken, is_changed) = (true, true);
            }
        }
        if is_changed {
            cx.set(WAITING, waiting);
        }
        Ok(())
    }
}
