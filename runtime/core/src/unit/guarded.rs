//! A call to a handler, watched.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{self, Poll};

use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::handler::Failure;
use crate::worker::Env;

/// How a call to a handler ended.
pub(super) enum Ended {
    Answered(Result<(), Failure>),
    Panicked(String),
    TimedOut,
}

/// A call to a handler, watched: its panics are caught, its time is bounded, its polls are shown to the watchdog. The clock
/// is asked only when the handler waits.
pub(super) struct Guarded<'a> {
    /// Taken only when it is dropped.
    pub(super) call: Option<LocalBoxFuture<'a, Result<(), Failure>>>,
    pub(super) env: &'a Env,
    pub(super) handler: usize,
    pub(super) sleep: Option<BoxFuture<'static, ()>>,
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
        let timeout = this.env.service.registered(this.handler).timeout;
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
