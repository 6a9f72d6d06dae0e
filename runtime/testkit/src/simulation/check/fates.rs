//! What became of each record: it had its effects, it is parked, it is a dead letter, or an operator gave it up. One of these, in
//! the order of its key (I3), and nothing that was applied is applied again (I2).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidemill_core::internal::{Became, Operation};
use tidemill_core::record::{Position, Record};
use tidemill_core::time::Timestamp;

use super::Findings;
use super::parked::{Letter, Parked, Waits, is_parked, letter, open_letter, parked, waiting};
use crate::simulation::ledger::{Out, Part, Who};
use crate::simulation::run::Known;

/// What became of the records of one service so far, as far as it is durable.
#[derive(Default)]
pub(super) struct Fates {
    parked: BTreeMap<(u32, Bytes), Parked>,
    /// Records whose lane went on behind them.
    settled: BTreeSet<Position>,
    /// The open letters by what was said, each with its round; and by what is kept.
    open: BTreeMap<String, u32>,
    kept: BTreeSet<String>,
    /// Where the record of each letter came from.
    origins: BTreeMap<String, Position>,
    /// The events that had their effects.
    applied: BTreeSet<Event>,
}

/// Who emitted an event, and its id.
pub(super) type Event = (Option<String>, String);

/// A commit that took effect.
pub(super) struct Taken<'a> {
    pub(super) time: &'a str,
    pub(super) who: &'a Who,
    pub(super) parts: &'a [Part],
    pub(super) outputs: &'a [Out],
    /// The records that are done with it and were not before.
    pub(super) done: BTreeSet<Position>,
}

/// What has to be known beside.
pub(super) struct Beside<'a> {
    pub(super) service: &'a Known,
    /// What this life handled well.
    pub(super) handled: &'a BTreeSet<&'a Position>,
    /// Whether a record is for some handler.
    pub(super) is_event: &'a dyn Fn(&Position) -> bool,
    /// The event that a record names.
    pub(super) event: &'a dyn Fn(&Position) -> Option<Event>,
    /// The record before in the same lane.
    pub(super) before: &'a dyn Fn(&Position) -> Option<Position>,
}

/// What a commit says of letters and commands.
#[derive(Default)]
struct Told {
    lettered: BTreeSet<Position>,
    holds: Vec<Letter>,
    /// The records of letters that were applied, and those that were given up, by where they came from.
    applied: Vec<Position>,
    given_up: BTreeSet<String>,
    /// The records of letters that are closed without an effect.
    discarded: BTreeSet<Position>,
    /// The letters that something was done to.
    letters: BTreeSet<String>,
}

impl Fates {
    /// Follows a commit, and tells whose effects may be in it.
    pub(super) fn take(&mut self, taken: &Taken<'_>, beside: &Beside<'_>, findings: &mut Findings) -> Vec<Position> {
        let gone = self.follow_state(taken, findings);
        let told = self.follow_outputs(taken, beside, findings);
        self.check_letters(taken, &told, findings);
        for entry in self.parked.values().filter(|entry| !entry.redriven && told.discarded.contains(&entry.position)) {
            findings.add("I2", format!("{}: {} was given up, and is still parked", taken.time, entry.position));
        }
        let parked: BTreeMap<&Position, &Parked> = self.parked.values().map(|entry| (&entry.position, entry)).collect();
        // One that is a dead letter whose key went on may be parked again by an operator.
        let stays = |position: &Position| {
            parked.get(position).is_some_and(|entry| !entry.redriven || !told.lettered.contains(position))
        };
        let done = taken.done.iter().filter(|position| !stays(position));
        let leaving: Vec<Position> = done.chain(gone.iter().map(|gone| &gone.position)).cloned().collect();
        let had_effects = leaving.iter().filter(|position| beside.handled.contains(position)).chain(&told.applied);
        self.applied.extend(had_effects.filter_map(|position| (beside.event)(position)));
        let mut fresh = Vec::new();
        for position in &leaving {
            let is_copy = || (beside.event)(position).is_some_and(|event| self.applied.contains(&event));
            let has_ended = beside.handled.contains(position)
                || told.lettered.contains(position)
                || told.given_up.contains(&position.to_string())
                || is_copy();
            if !has_ended && (beside.is_event)(position) {
                let (time, who) = (taken.time, taken.who);
                findings.add("I5", format!("{time}: {who} says that {position} is done, which it has not handled"));
            }
            if self.settled.insert(position.clone()) {
                fresh.push(position);
            }
        }
        for position in fresh {
            if let Some(before) = (beside.before)(position).filter(|before| !self.settled.contains(before)) {
                let time = taken.time;
                findings
                    .add("I3", format!("{time}: {position} is through before {before}, an older record of its key"));
            }
        }
        leaving.into_iter().chain(told.applied).chain(taken.done.iter().cloned()).collect()
    }

    /// What was parked, and is so no more.
    fn follow_state(&mut self, taken: &Taken<'_>, findings: &mut Findings) -> Vec<Parked> {
        let (time, who) = (taken.time, taken.who);
        let mut gone = Vec::new();
        for part in taken.parts {
            for change in &part.changes {
                let slot = || (part.shard, change.key.clone());
                if let Some(id) = open_letter(&change.key) {
                    match change.value {
                        Some(_) => drop(self.kept.insert(id)),
                        None => drop(self.kept.remove(&id)),
                    }
                }
                match change.value.as_ref().map(|value| parked(&change.key, value)) {
                    None if is_parked(&change.key) => gone.extend(self.parked.remove(&slot())),
                    None | Some(None) => {}
                    Some(Some(Err(error))) => {
                        findings.add("I1", format!("{time}: {who} parks what cannot be read: {error}"));
                    }
                    Some(Some(Ok(entry))) => {
                        let position = entry.position.clone();
                        let is_new = !entry.redriven && !taken.done.contains(&position);
                        if self.parked.insert(slot(), entry).is_none() && is_new {
                            let message = format!("{time}: {who} parks {position}, which was done before");
                            findings.add("I2", message);
                        }
                    }
                }
            }
        }
        gone
    }

    /// What was said of letters and commands.
    fn follow_outputs(&mut self, taken: &Taken<'_>, beside: &Beside<'_>, findings: &mut Findings) -> Told {
        let (time, who, mut told) = (taken.time, taken.who, Told::default());
        for output in taken.outputs {
            if output.target.topic == beside.service.letters {
                let Some(letter) = letter(&output.headers) else {
                    findings.add("I1", format!("{time}: {who} writes a dead letter that cannot be read"));
                    continue;
                };
                let round = self.open.get(&letter.id).map_or(1, |round| round + 1);
                if letter.round != round {
                    let (origin, said) = (&letter.origin, letter.round);
                    findings.add(
                        "I2",
                        format!("{time}: the letter of {origin} says round {said}, and it is round {round}"),
                    );
                }
                self.open.insert(letter.id.clone(), letter.round);
                self.origins.insert(letter.id.clone(), letter.origin.clone());
                told.lettered.insert(letter.origin.clone());
                told.holds.extend(letter.holds.then_some(letter));
            } else if output.target.topic == beside.service.operations {
                match operation(output) {
                    Some(operation) => self.follow_operation(taken, beside, operation, &mut told, findings),
                    None => findings.add("I4", format!("{time}: {who} tells of an operation what cannot be read")),
                }
            }
        }
        told
    }

    fn follow_operation(
        &mut self,
        taken: &Taken<'_>,
        beside: &Beside<'_>,
        operation: Operation,
        told: &mut Told,
        findings: &mut Findings,
    ) {
        let (time, who) = (taken.time, taken.who);
        let Operation { act, became, letter, origin, .. } = operation;
        told.letters.extend(letter.clone());
        let was_open = match (&letter, became) {
            (Some(letter), Became::Applied | Became::Done) => self.open.remove(letter).is_some(),
            _ => true,
        };
        if !was_open {
            findings.add("I2", format!("{time}: {who} does a {act} of the letter of {origin}, which is not open"));
        }
        match (act.as_str(), became) {
            (_, Became::Applied) => {
                if !beside.handled.iter().any(|handled| handled.to_string() == origin) {
                    findings
                        .add("I5", format!("{time}: {who} says that {origin} is applied, which it has not handled"));
                }
                told.applied.extend(letter.and_then(|letter| self.origins.get(&letter).cloned()));
            }
            ("discard" | "discard-parked", Became::Done) | ("redrive", Became::Refused) => {
                let closed = letter.filter(|_| became == Became::Done);
                told.discarded.extend(closed.and_then(|letter| self.origins.get(&letter).cloned()));
                told.given_up.insert(origin);
            }
            _ => {}
        }
    }

    /// A letter that is open is kept so, and one that holds its key does.
    fn check_letters(&self, taken: &Taken<'_>, told: &Told, findings: &mut Findings) {
        let time = taken.time;
        for letter in told.holds.iter().filter(|letter| !told.letters.contains(&letter.id)) {
            if !self.parked.values().any(|entry| entry.position == letter.origin) {
                findings.add(
                    "I3",
                    format!("{time}: the letter of {} says that its key is held, and it is not", letter.origin),
                );
            }
        }
        for entry in self.parked.values() {
            if let Waits::Held { letter } = &entry.waits
                && !letter.is_empty()
                && !self.open.contains_key(letter)
            {
                findings.add("I1", format!("{time}: {} is held by a letter that is not there", entry.position));
            }
        }
        if !self.open.keys().eq(&self.kept) {
            let (open, kept) = (self.open.keys(), &self.kept);
            findings.add("I4", format!("{time}: letters {open:?} are open, and kept as open are {kept:?}"));
        }
    }

    /// Whether the record is still somewhere, or was done with.
    pub(super) fn knows(&self, position: &Position) -> bool {
        self.settled.contains(position) || self.parked.values().any(|entry| entry.position == *position)
    }

    /// In the end, what is parked waits for an operator.
    pub(super) fn check_end(state: &BTreeMap<(u32, Bytes), Bytes>, service: &Known, findings: &mut Findings) {
        let shards: BTreeSet<u32> = state.keys().map(|(shard, _)| *shard).collect();
        for shard in shards {
            let of_shard = state.iter().filter(|((number, _), _)| *number == shard);
            for first in waiting(of_shard.map(|((_, key), value)| (key, value))) {
                let (position, handler, name) = (&first.position, &first.handler, &service.name);
                findings.add("I9", format!("{position} is parked by {handler} of {name}, and nobody tries it again"));
            }
        }
    }
}

/// What became of a command.
fn operation(output: &Out) -> Option<Operation> {
    let value = output.value.clone().map(Bytes::from);
    let headers = output.headers.clone();
    Operation::read(&Record { offset: 0, timestamp: Timestamp::default(), key: None, value, headers })
}
