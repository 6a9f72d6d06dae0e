//! What a handler answers when it could not do its work.

use std::fmt;

use crate::code::Coded;

/// What kind of failure it was; the policy for what follows hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Trying again may help.
    Transient,
    /// Trying again will not help.
    Permanent,
    /// What the handler needs, by this name, is not there. No attempt is spent.
    Unavailable(String),
    /// The runtime cannot go on with this shard, whatever the policy says.
    Fatal(Coded),
}

/// Why a handler failed. Any [`std::error::Error`] becomes one by `?`, as a transient failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerError {
    class: Class,
    message: String,
}

impl HandlerError {
    /// A failure that may go away by itself: a time-out, a busy database.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: Class::Transient, message: message.into() }
    }

    /// A failure that will not: a broken rule, an impossible value.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { class: Class::Permanent, message: message.into() }
    }

    /// What the handler needs is not there: a service, a database. `dependency` is its name as declared with
    /// [`HandlerBuilder::needs`](crate::service::HandlerBuilder::needs). The record is tried again until it is there, which spends no
    /// attempts; after some such failures in a row, all records of all handlers that need it wait, and one asks from time to time. A
    /// name that is not declared makes it a transient failure.
    pub fn unavailable(dependency: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class: Class::Unavailable(dependency.into()), message: message.into() }
    }

    /// A failure of the ground under the runtime, which no other attempt and no other record would pass: the service stops with it.
    pub fn fatal(cause: Coded) -> Self {
        Self { message: cause.message.clone(), class: Class::Fatal(cause) }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// The reason, as given.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// `HandlerError` is deliberately no `std::error::Error`: that is what lets every other error become one.
impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::transient(error.to_string())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
