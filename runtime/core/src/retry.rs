//! How often, and how long apart, a failing unit is tried again in place.
//!
//! The one file that names the `backoff` crate. The crate is not maintained any more; what is used of it is the arithmetic
//! of exponential growth, which is done. Chance comes from our own port: full jitter, seeded.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::ports::Random;

/// A retry policy for attempts in place: only the lane of the failing record waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// The upper bound of the first delay; each later one is twice as long.
    pub first_delay: Duration,
    /// No delay is longer.
    pub longest_delay: Duration,
}

/// How often and how long a commit that did not go through is tried again before its worker gives up.
pub(crate) const COMMIT_RETRY: Retry =
    Retry { attempts: 6, first_delay: Duration::from_millis(50), longest_delay: Duration::from_secs(1) };

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, first_delay: Duration::from_millis(50), longest_delay: Duration::from_secs(2) }
    }
}

impl Retry {
    /// One attempt only.
    pub const fn never() -> Self {
        Self { attempts: 1, first_delay: Duration::ZERO, longest_delay: Duration::ZERO }
    }

    /// Attempts for which the record is parked: from some seconds to some minutes apart.
    pub(crate) const fn delayed() -> Self {
        Self { attempts: 10, first_delay: Duration::from_secs(5), longest_delay: Duration::from_mins(10) }
    }

    /// The delay after failed attempt number `attempt` (from 1): between zero and an exponentially growing bound, evenly.
    pub fn delay(&self, attempt: u32, random: &dyn Random) -> Duration {
        let bound = self.bound(attempt);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random.next() % nanos.saturating_add(1))
    }

    /// The longest delay after failed attempt number `attempt`.
    fn bound(&self, attempt: u32) -> Duration {
        let mut growth = ExponentialBackoff {
            current_interval: self.first_delay,
            initial_interval: self.first_delay,
            multiplier: 2.0,
            max_interval: self.longest_delay,
            max_elapsed_time: None,
            randomization_factor: 0.0,
            ..ExponentialBackoff::default()
        };
        let mut bound = self.first_delay;
        for _ in 0..attempt {
            bound = growth.next_backoff().unwrap_or(self.longest_delay);
        }
        bound.min(self.longest_delay)
    }
}

#[cfg(test)]
mod tests;
