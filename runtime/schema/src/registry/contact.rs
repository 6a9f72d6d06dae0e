//! Whether the registry answers, and when one that does not is asked again.

use std::sync::Arc;
use std::time::Duration;

use tidemill_core::ports::Random;
use tidemill_core::retry::Retry;
use tidemill_core::time::Timestamp;

/// How long a registry is left alone that did not answer.
const BACKOFF: Retry =
    Retry { attempts: u32::MAX, first_delay: Duration::from_millis(200), longest_delay: Duration::from_secs(10) };
/// Failures after which the delay does not grow any more.
const MOST_FAILURES: u32 = 10;

/// Why there is no answer while nothing else is known.
const LATE: &str = "it takes too long";

/// What is known of the way to the registry.
pub(super) struct Contact {
    url: Arc<str>,
    random: Box<dyn Random + Send>,
    /// How often it did not answer since it did last.
    failures: u32,
    due: Timestamp,
    cause: String,
}

impl Contact {
    pub(super) fn new(url: Arc<str>, random: Box<dyn Random + Send>) -> Self {
        Self { url, random, failures: 0, due: Timestamp::from_millis(0), cause: LATE.into() }
    }

    /// How long it is still left alone. A clock that was set back makes it no longer.
    pub(super) fn rest(&self, now: Timestamp) -> Duration {
        Some(self.due.since(now)).filter(|rest| *rest <= BACKOFF.longest_delay).unwrap_or_default()
    }

    /// Why it did not answer.
    pub(super) fn cause(&self) -> &str {
        &self.cause
    }

    /// It did not answer, or not as a registry does; said once until it does.
    pub(super) fn failed(&mut self, now: Timestamp, cause: &str) {
        cause.clone_into(&mut self.cause);
        // Of several requests that fail at once, one counts.
        if !self.rest(now).is_zero() {
            return;
        }
        if self.failures == 0 {
            tracing::warn!(
                registry = &*self.url,
                cause,
                "the schema registry does not answer; it is asked until it does"
            );
        }
        self.failures = (self.failures + 1).min(MOST_FAILURES);
        self.due = now + BACKOFF.delay(self.failures, &*self.random);
    }

    /// It answered.
    pub(super) fn answered(&mut self) {
        if self.failures > 0 {
            tracing::info!(registry = &*self.url, "the schema registry answers again");
        }
        self.failures = 0;
        self.due = Timestamp::from_millis(0);
        LATE.clone_into(&mut self.cause);
    }
}
