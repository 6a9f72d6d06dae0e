//! Time, chance and threads as this machine has them: the one place where the world enters.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use tidemill_core::ports::{Blocking, Clock, Random};
use tidemill_core::time::Timestamp;
use tokio::runtime::{Builder, Runtime};

/// The machine's own clock. It sleeps on the runtime of whoever polls the sleep.
pub(super) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the wall clock enters the process here")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "the wall clock enters the process here")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move { tokio::time::sleep(duration).await })
    }
}

/// Measures a time that is shown to people, and decides nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the clock port counts milliseconds, and a unit takes microseconds")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "as for start")]
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// splitmix64, the generator of Steele, Lea and Flood (2014), seeded by the operating system.
pub(super) struct SplitMix(Cell<u64>);

impl SplitMix {
    pub(super) fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// A generator with a seed that nobody can tell beforehand.
    pub(super) fn seeded() -> Self {
        // The standard library takes the keys of its hashes from the operating system.
        Self::new(RandomState::new().build_hasher().finish())
    }
}

impl Random for SplitMix {
    fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Threads for work that blocks, made as they are needed and kept a while.
pub(super) struct Threads(Option<Runtime>);

/// The most threads for blocking work at a time; more work waits for one of them.
const MOST_BLOCKING_THREADS: usize = 64;

impl Threads {
    pub(super) fn new() -> Self {
        let pool = Builder::new_current_thread()
            .max_blocking_threads(MOST_BLOCKING_THREADS)
            .thread_name("blocking")
            .build()
            .expect("a runtime without events and timers needs nothing of the system");
        Self(Some(pool))
    }
}

impl Blocking for Threads {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        let pool = self.0.as_ref().expect("taken by drop only");
        // The job tells its own result.
        drop(pool.handle().spawn_blocking(job));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for the threads would block, and may not be done where futures are polled.
        if let Some(pool) = self.0.take() {
            pool.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
