//! Time, chance and threads, injected.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::time::Timestamp;

/// The only source of time. Shared by threads.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Completes when `duration` has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The only source of chance.
pub trait Random {
    /// 64 evenly distributed bits.
    fn next(&self) -> u64;
}

/// Threads for work that would block a worker. Shared by threads.
pub trait Blocking: Send + Sync {
    /// Runs `job` somewhere else than on the worker's thread.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
}

/// What a worker tells threads that look on: a watchdog, and whoever waits until everything is done.
///
/// The number is odd while a handler is polled; the watchdog sees a handler that blocks its thread as an odd number that
/// stays. No clock is needed on the worker's side.
#[derive(Debug, Default)]
pub struct Heartbeat {
    beats: AtomicU64,
    handler: AtomicU64,
    waiting: AtomicU64,
    running: AtomicU64,
}

impl Heartbeat {
    /// A handler, by its place in the service, is about to be polled.
    pub fn enter(&self, handler: usize) {
        self.handler.store(handler as u64, Ordering::Relaxed);
        let beats = self.beats.load(Ordering::Relaxed);
        self.beats.store(beats + 1, Ordering::Release);
    }

    /// The handler gave the thread back.
    pub fn leave(&self) {
        let beats = self.beats.load(Ordering::Relaxed);
        self.beats.store(beats + 1, Ordering::Release);
    }

    /// So many shards run, and so many keys of theirs have parked records that will be handled without an operator; one more where
    /// something is not durable yet.
    pub fn set_waiting(&self, shards: u64, keys: u64) {
        self.waiting.store(keys, Ordering::Release);
        self.running.store(shards, Ordering::Release);
    }

    /// How many shards run. Of what others keep, nothing is known here.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Acquire)
    }

    /// How many keys of the shards that run have parked records that will be handled without an operator; one more where something is
    /// not durable yet.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// The number of changes so far and, while a handler is being polled, that handler's place in the service.
    pub fn read(&self) -> (u64, Option<usize>) {
        let beats = self.beats.load(Ordering::Acquire);
        let handler = usize::try_from(self.handler.load(Ordering::Relaxed)).ok();
        (beats, handler.filter(|_| beats % 2 == 1))
    }
}
