//! Measures a service from its first shard's start to the commit of the last record.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use alloc_tracker::{ProcessSpan, Session};
use futures_channel::oneshot;
use tidemill::ports::{Committed, Observer};

use crate::process;

/// What a part of a run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// How long it took.
    pub(crate) took: Duration,
    /// The time that all threads of the process were on a processor; `None` where the system does not say.
    pub(crate) cpu: Option<Duration>,
    /// How often memory was asked for, by all threads.
    pub(crate) allocations: u64,
    /// The most memory that the process had, in bytes; `None` where the system does not say.
    pub(crate) peak_bytes: Option<u64>,
}

/// Looks at a service, and measures until it has committed a number of units.
pub(crate) struct Meter {
    state: Mutex<State>,
}

struct State {
    /// Units that are not committed yet.
    left: u64,
    session: Session,
    begun: Option<Begun>,
    done: Option<oneshot::Sender<Usage>>,
}

/// What was read when the measured part began.
struct Begun {
    at: Instant,
    cpu: Option<Duration>,
    span: ProcessSpan,
}

impl Meter {
    /// Measures until so many units are committed, and then tells.
    pub(crate) fn new(units: u64) -> (Self, oneshot::Receiver<Usage>) {
        let (done, usage) = oneshot::channel();
        // The session would print and write files of its own.
        let session = Session::new().no_stdout().no_file();
        (Self { state: Mutex::new(State { left: units, session, begun: None, done: Some(done) }) }, usage)
    }

    fn with_state(&self, change: impl FnOnce(&mut State)) {
        // Nothing here panics halfway through a change.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn begin(&mut self) {
        if self.begun.is_some() {
            return;
        }
        process::forget_peak();
        let cpu = process::cpu();
        let span = self.session.operation("run").measure_process();
        self.begun = Some(Begun { at: now(), cpu, span });
    }

    fn end(&mut self) {
        let Some(Begun { at, cpu, span }) = self.begun.take() else { return };
        let took = now().duration_since(at);
        drop(span.iterations(1));
        let cpu = process::cpu().zip(cpu).map(|(after, before)| after.saturating_sub(before));
        let peak_bytes = process::peak_bytes();
        let allocations = self.session.to_report().operations().map(|(_, run)| run.total_allocations_count()).sum();
        if let Some(done) = self.done.take() {
            // Nobody waits any more where the run has failed.
            let _ = done.send(Usage { took, cpu, allocations, peak_bytes });
        }
    }
}

impl Observer for Meter {
    fn shard_started(&self, _shard: u32) {
        self.with_state(State::begin);
    }

    fn committed(&self, commit: Committed) {
        self.with_state(|state| {
            state.left = state.left.saturating_sub(commit.units as u64);
            if state.left == 0 {
                state.end();
            }
        });
    }
}

/// The time by which everything here is measured.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures by the machine's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
