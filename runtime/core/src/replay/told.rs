//! What is told of a unit that ran again.

use std::sync::Arc;

use bytes::Bytes;

use crate::code::Coded;
use crate::headers;
use crate::journal::Noted;
use crate::outputs::Outputs;
use crate::ports::{Committing, Entry};
use crate::record::{Position, Record};
use crate::replay::{Before, Wanted};
use crate::state::{ScopeKey, StateId};
use crate::time::Timestamp;
use crate::timers::{Pending, pending};
use crate::unit::{Again, Unit};

/// A unit that ran again.
#[derive(Debug)]
pub struct Told {
    /// Where its record came from first. That of a timer stands in no log.
    pub position: Position,
    /// What it handled.
    pub record: Record,
    /// The id of that event: the one in its headers, or what stands for it.
    pub id: String,
    /// The type of that event.
    pub event: String,
    /// The name of its handler; empty where none takes it.
    pub handler: Arc<str>,
    /// The time that it saw.
    pub at: Timestamp,
    /// Whether its handler was called now.
    pub is_handled: bool,
    /// What that failed with, now.
    pub failure: Option<Coded>,
    /// What it emitted, the service's own records among it.
    pub outputs: Outputs,
    /// What its handler emits now, though it failed then.
    pub beyond: Option<Outputs>,
    /// What it changed in the state of its handler and key, if that is wanted.
    pub changes: Vec<Changed>,
    /// What it scheduled, and what it cancelled or replaced, if that is wanted.
    pub timers: Vec<TimerChange>,
    /// What it needs to run again elsewhere, if that is wanted.
    pub needs: Option<Needs>,
    /// What the journal notes of it: how it ended then, and what it was answered from outside.
    pub noted: Noted,
}

/// What a unit needs to run again, beside its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Its shard.
    pub shard: u32,
    /// The topic of its record, where it handled one of the log; that may be a command about another.
    pub topic: String,
    /// That record. One that was parked, or a timer, lies in the state.
    pub record: Option<Record>,
    /// The state of its handler and key, with its timers and what is parked in its lane.
    pub state: Vec<Entry>,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The name of the cell or map.
    pub name: String,
    /// The key of the map's entry, in the form that sorts as keys do.
    pub entry: Option<Bytes>,
    /// The value before, encoded.
    pub before: Option<Bytes>,
    /// The value after it, encoded.
    pub after: Option<Bytes>,
}

/// A timer that is new, or there no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange {
    /// It was scheduled.
    Scheduled(Pending),
    /// It was cancelled, replaced, or has fired: when it was due.
    Gone(Timestamp),
}

impl Told {
    pub(super) fn of(unit: &mut Unit, again: Again, before: &Before<'_>, wanted: Wanted) -> Result<Self, Coded> {
        let Again { is_handled, failure, beyond } = again;
        let (changes, timers) = if wanted.changes { (changes(unit)?, timers(unit)) } else { Default::default() };
        let fresh = unit.home.env.outputs();
        let named = unit.record.headers.text(headers::ID).map(str::to_owned);
        Ok(Self {
            position: unit.position(),
            id: named.unwrap_or_else(|| unit.derived_own_id()),
            event: event(unit),
            handler: Arc::clone(&unit.registered().name),
            at: before.at,
            is_handled,
            failure,
            outputs: std::mem::replace(&mut unit.outputs, fresh),
            beyond,
            changes,
            timers,
            needs: None,
            noted: before.noted.clone(),
            record: unit.record.clone(),
        })
    }
}

/// The type of a unit's event.
fn event(unit: &Unit) -> String {
    let service = &unit.home.env.service;
    let named = || unit.record.headers.text(headers::TYPE).unwrap_or_default();
    service.routed(unit.way).map_or_else(named, |route| route.event).to_owned()
}

fn changes(unit: &Unit) -> Result<Vec<Changed>, Coded> {
    let Some(state) = &unit.state else { return Ok(Vec::new()) };
    let mut changes = Vec::new();
    for (suffix, after) in unit.writes.iter() {
        let key = unit.state_key(suffix).expect("it has a key");
        let before = stored(unit, state, suffix, &key)?;
        let place = ScopeKey::parse(&key).expect("it is a state key");
        let (name, entry) = (place.name.to_owned(), place.entry.map(Bytes::copy_from_slice));
        if before != *after {
            changes.push(Changed { name, entry, before, after: after.clone() });
        }
    }
    Ok(changes)
}

/// What there was before the unit.
fn stored(unit: &Unit, state: &StateId, suffix: &Bytes, key: &[u8]) -> Result<Option<Bytes>, Coded> {
    if let Some(known) = unit.home.memory.borrow_mut().get(state, suffix) {
        return Ok(known.cloned());
    }
    let Committing::Batch(commits) = &unit.home.env.commits else { unreachable!("a replay has stores") };
    commits.get(unit.home.shard, key)
}

fn timers(unit: &Unit) -> Vec<TimerChange> {
    let mut timers = Vec::new();
    for kept in &unit.kept {
        let key = crate::state::own_key(&kept.id, &kept.suffix);
        let Some(when) = crate::timers::when(&key) else { continue };
        match &kept.value {
            Some(value) => {
                timers.extend(pending(&(key, value.clone())).and_then(Result::ok).map(TimerChange::Scheduled));
            }
            None => timers.push(TimerChange::Gone(when.due)),
        }
    }
    timers
}

/// What the unit did is part of the state from here on.
pub(super) fn keep(unit: &mut Unit) {
    let mut none = unit.home.env.outputs();
    unit.give_effects(&mut none);
    unit.home.env.recycle(none);
}
