//! What follows a failure: by its class, how often and how far apart a unit is tried again, and what becomes of its record then.

mod cause;
mod dependencies;
mod rate;

use std::time::Duration;

use crate::retry::Retry;

pub use cause::{Cause, redacted};
pub(crate) use dependencies::Dependencies;
pub(crate) use rate::LetterRate;

/// The longest that the attempts at one record go on by default, from its first failure.
const TOTAL: Duration = Duration::from_hours(1);

/// What kind of failure it was. One more kind, that what a handler needs is not there, spends no attempts and has no policy: see
/// [`HandlerError::unavailable`](crate::handler::HandlerError::unavailable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// The handler said that trying again may help.
    Transient,
    /// The handler said that it will not.
    Permanent,
    /// The handler panicked.
    Panic,
    /// An attempt took longer than it may.
    Timeout,
    /// The record is no event that the service reads: its bytes, its type, or no value where one is needed.
    Undecodable,
    /// What the handler emitted or changed is not taken by the broker.
    Refused,
    /// The process ended while the handler ran.
    Crash,
}

impl ErrorClass {
    /// All classes.
    pub const ALL: [Self; 7] =
        [Self::Transient, Self::Permanent, Self::Panic, Self::Timeout, Self::Undecodable, Self::Refused, Self::Crash];

    /// Its name in configuration, headers and lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Undecodable => "undecodable",
            Self::Refused => "refused",
            Self::Crash => "crash",
        }
    }

    /// The class of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Whether trying again may help.
    const fn is_retried(self) -> bool {
        matches!(self, Self::Transient | Self::Panic | Self::Timeout)
    }
}

/// What becomes of a record whose attempts are spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// It is a dead letter, and its key goes on.
    #[default]
    Continue,
    /// It is a dead letter, and its key waits, in order, until an operator decides.
    Hold,
    /// The service stops and names it.
    Stop,
}

impl Then {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Continue, Self::Hold, Self::Stop];

    /// Its name in configuration and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Hold => "hold",
            Self::Stop => "stop",
        }
    }
}

/// What follows failures of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Attempts in place, the first included: only the lane of the record waits.
    pub retry: Retry,
    /// Attempts after these, for each of which the record is parked: 0 for none. The delays are between them.
    pub delayed: Retry,
    /// How long after the first failure an attempt may still begin.
    pub total: Duration,
    /// What follows when attempts are spent.
    pub then: Then,
}

/// What follows failures, by their class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies([Policy; ErrorClass::ALL.len()]);

impl Default for Policies {
    fn default() -> Self {
        Self(ErrorClass::ALL.map(|class| Policy {
            retry: Retry {
                attempts: if class.is_retried() { Retry::default().attempts } else { 1 },
                ..Retry::default()
            },
            delayed: Retry {
                attempts: if class.is_retried() { Retry::delayed().attempts } else { 0 },
                ..Retry::delayed()
            },
            total: TOTAL,
            then: Then::Continue,
        }))
    }
}

impl Policies {
    /// The policy of a class.
    pub const fn of(&self, class: ErrorClass) -> &Policy {
        &self.0[class as usize]
    }

    /// The policy of a class, to be changed.
    pub const fn of_mut(&mut self, class: ErrorClass) -> &mut Policy {
        &mut self.0[class as usize]
    }

    /// The same with other attempts in place, for the classes in which trying again may help.
    #[must_use]
    pub fn with_retry(mut self, retry: &Retry) -> Self {
        for class in ErrorClass::ALL.into_iter().filter(|class| class.is_retried()) {
            self.of_mut(class).retry = retry.clone();
        }
        self
    }

    /// The same with another end, for all classes.
    #[must_use]
    pub fn with_then(mut self, then: Then) -> Self {
        self.0.iter_mut().for_each(|policy| policy.then = then);
        self
    }

    /// How long the attempts at one record may go on, from its first failure.
    pub(crate) fn longest(&self) -> Duration {
        let delayed = self.0.iter().filter(|policy| policy.delayed.attempts > 0);
        delayed.map(|policy| policy.total + policy.delayed.longest_delay).max().unwrap_or_default()
    }

    /// Every failure stops the service, after attempts in place where another may help: no record is parked, none is a dead letter.
    pub fn stopping() -> Self {
        let mut policies = Self::default().with_then(Then::Stop);
        policies.0.iter_mut().for_each(|policy| policy.delayed.attempts = 0);
        policies
    }
}

#[cfg(test)]
mod tests;
