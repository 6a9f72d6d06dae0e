//! Names handlers that block their worker's thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Heartbeat;
use tidemill_core::service::Service;

use crate::command;

/// Looks at each worker in the time that a handler may block. They are counted, not timed: a process that was stopped and
/// goes on, or a machine that slept, has blocked nobody.
const LOOKS: u32 = 4;

/// A worker as the watchdog sees it.
pub(super) struct Watched {
    pub(super) service: Arc<Service>,
    /// The name of its thread.
    pub(super) thread: String,
    pub(super) heartbeat: Arc<Heartbeat>,
}

/// What is done about a handler that blocks: the process ends, except in tests.
pub(super) type Act = Arc<dyn Fn(&Coded) + Send + Sync>;

/// Ends the process with the error's exit code. The worker's thread cannot be stopped in any other way.
#[expect(clippy::disallowed_methods, reason = "the blocked thread would hold up every drain for ever")]
pub(super) fn end_process(error: &Coded) {
    let Coded { code, message } = error;
    tracing::error!(%code, "{message}");
    command::report(error);
    std::process::exit(code.exit() as i32);
}

/// Looks on until it is dropped.
pub(super) struct Watchdog {
    _end: SyncSender<()>,
}

impl Watchdog {
    /// Begins to look at these workers; a handler that blocks one for `limit` or longer is acted upon once.
    #[expect(
        clippy::disallowed_methods,
        reason = "the composition root makes the threads; this one ends with its owner"
    )]
    pub(super) fn start(watched: Vec<Watched>, limit: Duration, act: Act) -> Self {
        let (end, ended) = sync_channel(0);
        let look_on = move || look_on(watched, limit / LOOKS, &ended, &act);
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(look_on);
        // It ends by itself when the sender is gone; nobody has to wait for it.
        drop(thread.expect("a process that starts workers can start one more thread"));
        Self { _end: end }
    }
}

/// Looks at the heartbeats every `pause`, until the other end of `ended` is dropped.
fn look_on(watched: Vec<Watched>, pause: Duration, ended: &Receiver<()>, act: &Act) {
    // The heartbeat's number at the last look, and how many looks it has not changed for.
    let mut seen: Vec<(Watched, u64, u32)> = watched.into_iter().map(|watched| (watched, 0, 0)).collect();
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        for (watched, last, looks) in &mut seen {
            let (beats, handler) = watched.heartbeat.read();
            *looks = if beats == *last { *looks + 1 } else { 0 };
            *last = beats;
            if let Some(handler) = handler.filter(|_| *looks == LOOKS) {
                act(&blocked(watched, handler, pause * LOOKS));
            }
        }
    }
}

fn blocked(watched: &Watched, handler: usize, time: Duration) -> Coded {
    let Watched { service, thread, .. } = watched;
    let handler = service.handler_names().nth(handler).map_or("?", |name| name);
    let message = format!(
        "handler {handler} of service {} has blocked its thread ({thread}) for {time:?}; work that blocks belongs in cx.blocking",
        service.name()
    );
    Coded::new(Code::HANDLER_BLOCKS, message)
}

#[cfg(test)]
mod tests;
