//! What comes after a step, and where a step may lead.

use std::fmt;

use crate::saga::{Compensation, State};
use crate::state::{Unreadable, encode};

/// Where an instance goes.
#[derive(Debug)]
pub(super) enum To {
    State { name: &'static str, version: u32, data: Vec<u8> },
    End { outcome: String },
    Abort { reason: String },
}

/// What comes after a step: another state or the same, the end, or the undoing of everything; and how the step itself is undone then.
#[derive(Debug)]
#[must_use = "it says what becomes of the instance"]
pub struct Next {
    pub(super) to: Result<To, Unreadable>,
    pub(super) undo: Vec<(&'static str, Result<Vec<u8>, Unreadable>)>,
}

impl Next {
    fn new(to: Result<To, Unreadable>) -> Self {
        Self { to, undo: Vec::new() }
    }

    /// The instance goes on in this state.
    #[expect(clippy::needless_pass_by_value, reason = "a state that is gone to is done with, and steps read better")]
    pub fn to<S: State>(state: S) -> Self {
        Self::new(encode(&state).map(|data| To::State { name: S::NAME, version: S::VERSION, data }))
    }

    /// The instance has ended, with this outcome, and nothing of it is undone.
    pub fn end(outcome: impl Into<String>) -> Self {
        Self::new(Ok(To::End { outcome: outcome.into() }))
    }

    /// What the instance did is undone, the last first, for this reason. What this step does stays.
    pub fn abort(reason: impl Into<String>) -> Self {
        Self::new(Ok(To::Abort { reason: reason.into() }))
    }

    /// This undoes the step, if the instance is ever undone. Of several of one step, the last is undone first.
    #[expect(clippy::needless_pass_by_value, reason = "steps read better")]
    pub fn undo_with<C: Compensation>(mut self, compensation: C) -> Self {
        self.undo.push((C::NAME, encode(&compensation)));
        self
    }
}

/// Where a step may lead, as it is declared. A step that goes elsewhere fails for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leads(pub(super) Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    State(&'static str),
    End(&'static str),
    Abort,
}

impl Leads {
    /// To a state, which may be the same.
    pub const fn to<S: State>() -> Self {
        Self(Place::State(S::NAME))
    }

    /// To the end, with this outcome.
    pub const fn end(outcome: &'static str) -> Self {
        Self(Place::End(outcome))
    }

    /// To the undoing of everything. Every step may lead there by a permanent failure, without it being said.
    pub const fn abort() -> Self {
        Self(Place::Abort)
    }

    /// Whether this is where it goes.
    pub(super) fn is(self, to: &To) -> bool {
        match (self.0, to) {
            (Place::State(declared), To::State { name, .. }) => declared == *name,
            (Place::End(declared), To::End { outcome }) => declared == outcome,
            (Place::Abort, To::Abort { .. }) => true,
            _ => false,
        }
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { name, .. } => write!(f, "state {name}"),
            Self::End { outcome } => write!(f, "end {outcome:?}"),
            Self::Abort { .. } => f.write_str("undoing"),
        }
    }
}
