//! Which dead letters are open no more, as the operations of their service tell.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemill_core::code::Coded;
use tidemill_core::internal::{self, Became, Operation};

use crate::command::site::Site;

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Its record has had no effects, and nobody gave it up.
    Open,
    /// Its record has had its effects, by a redrive or by a copy.
    Applied,
    /// Somebody gave it up.
    Discarded,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Applied => "applied",
            Self::Discarded => "discarded",
        }
    }
}

/// How an operation closes a letter, if it does.
fn closes(operation: &Operation) -> Option<State> {
    match operation.became {
        Became::Applied => Some(State::Applied),
        Became::Done if operation.act.starts_with("discard") => Some(State::Discarded),
        Became::Done | Became::FailedAgain | Became::Refused => None,
    }
}

/// What was closed in one service.
#[derive(Default)]
pub(super) struct Closings {
    from: Vec<u64>,
    /// By letter: how often, and how the last time.
    of: BTreeMap<String, (u32, State)>,
}

impl Closings {
    /// Reads what was written since this was called last, and shows it.
    pub(super) async fn refresh(
        &mut self,
        site: &Site,
        service: &str,
        mut each: impl FnMut(&Operation),
    ) -> Result<(), Coded> {
        let of = &mut self.of;
        site.read(service, &internal::operations(service), &mut self.from, |_, record| {
            let Some(operation) = Operation::read(&record) else { return };
            each(&operation);
            if let (Some(state), Some(letter)) = (closes(&operation), operation.letter) {
                let entry = of.entry(letter).or_insert((0, state));
                *entry = (entry.0 + 1, state);
            }
        })
        .await
    }

    /// What became of a letter that was opened so often: one that was closed opens again when a copy of its record fails.
    pub(super) fn state(&self, letter: &str, openings: u32) -> State {
        match self.of.get(letter) {
            Some((closings, state)) if *closings >= openings => *state,
            _ => State::Open,
        }
    }
}
