//! A switch that asks a worker to stop.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

#[derive(Default)]
struct Inner {
    is_on: bool,
    waker: Option<Waker>,
}

/// Asks a worker to stop. Clones share everything.
#[derive(Clone, Default)]
pub struct Switch(Arc<Mutex<Inner>>);

impl Switch {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for it.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.is_on = true;
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// Completes when it was asked for.
    pub async fn stopped(self) {
        poll_fn(|cx| {
            let mut inner = self.lock();
            inner.waker = Some(cx.waker().clone());
            if inner.is_on { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
