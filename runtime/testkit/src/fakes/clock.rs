//! Time that a test moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::{BoxFuture, poll_fn};
use tidemill_core::ports::Clock;
use tidemill_core::time::Timestamp;

/// When virtual time begins: 2024-01-01T00:00:00Z.
const BEGIN: Timestamp = Timestamp::from_millis(1_704_067_200_000);

#[derive(Default)]
struct Time {
    /// What passed since the beginning.
    passed: Duration,
    /// How far the wall clock was set forward, and back.
    ahead: Duration,
    behind: Duration,
    /// Who sleeps until when; the number tells sleepers of one moment apart.
    sleepers: BTreeMap<(Duration, u64), Option<Waker>>,
    next: u64,
}

/// A clock that stands still until it is moved. Sleeping is not touched by setting the wall clock.
#[derive(Default)]
pub struct VirtualClock(Arc<Mutex<Time>>);

fn lock(time: &Mutex<Time>) -> MutexGuard<'_, Time> {
    time.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VirtualClock {
    /// A clock at the beginning of virtual time.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Lets time pass and wakes whoever slept until then.
    pub fn advance(&self, by: Duration) {
        let mut time = lock(&self.0);
        time.passed += by;
        let after = (time.passed + Duration::from_nanos(1), 0);
        let later = time.sleepers.split_off(&after);
        let over = std::mem::replace(&mut time.sleepers, later);
        drop(time);
        over.into_values().flatten().for_each(Waker::wake);
    }

    /// How long until the first sleeper wakes.
    pub fn next_alarm(&self) -> Option<Duration> {
        let time = lock(&self.0);
        time.sleepers.keys().next().map(|(until, _)| until.saturating_sub(time.passed))
    }

    /// Sets the wall clock forward.
    pub fn set_forward(&self, by: Duration) {
        lock(&self.0).ahead += by;
    }

    /// Sets the wall clock back.
    pub fn set_back(&self, by: Duration) {
        lock(&self.0).behind += by;
    }

    /// What passed since the beginning.
    pub fn passed(&self) -> Duration {
        lock(&self.0).passed
    }
}

/// A sleeper's place, which it leaves when it is dropped.
struct Place {
    time: Arc<Mutex<Time>>,
    at: (Duration, u64),
}

impl Place {
    fn poll(&self, waker: &Waker) -> Poll<()> {
        let mut time = lock(&self.time);
        if time.passed >= self.at.0 {
            return Poll::Ready(());
        }
        time.sleepers.insert(self.at, Some(waker.clone()));
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.time).sleepers.remove(&self.at);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let time = lock(&self.0);
        let behind = i64::try_from(time.behind.as_millis()).expect("within the age of the world");
        let at = BEGIN + time.passed + time.ahead;
        Timestamp::from_millis(at.as_millis() - behind)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut time = lock(&self.0);
        time.next += 1;
        let place = Place { time: Arc::clone(&self.0), at: (time.passed + duration, time.next) };
        drop(time);
        Box::pin(poll_fn(move |cx| place.poll(cx.waker())))
    }
}
