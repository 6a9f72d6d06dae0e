//! Where what waits for a disk runs.

use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Blocking;

/// Threads that may wait; nothing where there is no disk, and everything runs in line.
pub(crate) struct Away(pub(crate) Option<Arc<dyn Blocking>>);

impl Away {
    /// Runs a job away from the caller's thread, where that is needed. It runs whether or not anybody waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Coded>> {
        let (send, receive) = oneshot::channel();
        let run = move || {
            // Nobody waits any more where the caller has gone on.
            let _ = send.send(job());
        };
        match &self.0 {
            Some(blocking) => blocking.run(Box::new(run)),
            None => run(),
        }
        Box::pin(async { receive.await.map_err(|_| Coded::new(Code::BACKEND_FAILED, "the thread of the store ended")) })
    }
}
