//! Events of an instance that come too early: they wait, as timers, until its state changes.

use std::time::Duration;

use bytes::Bytes;

use crate::context::Context;
use crate::handler::Failure;
use crate::planted::{Bug, is_planted};
use crate::saga::instance::{WAITING, Waiting};
use crate::saga::process::{Process, Reaction, failed, permanent};
use crate::time::Timestamp;

/// What the names of timers begin with that are events which wait.
const WAITS: &str = "tidemill.waits.";

impl<G: Send + Sync + 'static> Process<G> {
    /// An event waits, as a timer that is due when it has waited for too long.
    pub(super) async fn set_aside(
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
    pub(super) async fn let_go(&self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(name) = cx.fired().filter(|name| name.starts_with(WAITS)).map(str::to_owned) else { return Ok(()) };
        let mut waiting = cx.get(WAITING).await.map_err(failed)?.unwrap_or_default();
        waiting.retain(|waits| waits.timer != name);
        cx.set(WAITING, waiting);
        Ok(())
    }

    /// Events that do not wait any more in this state come again, in their order.
    pub(super) async fn wake(&self, state: &str, cx: &mut Context<'_>) -> Result<(), Failure> {
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
