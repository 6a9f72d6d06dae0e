//! Blocking work without threads.

use tidemill_core::ports::Blocking;

/// Runs blocking work at once, on the thread that asks for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inline;

impl Blocking for Inline {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}
