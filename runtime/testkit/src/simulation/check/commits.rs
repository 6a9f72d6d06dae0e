//! Commits: what they make durable was handled, parked or dead-lettered (I5) by the owner (I6), once (I2), in the order of keys
//! (I3), with its outputs (I4), and in the end everything is done (I1) within the bounds (I10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::ports::LogEvent;
use tidemill_core::record::{Position, TopicPartition};

use super::fates::{Beside, Fates, Taken};
use super::parked::{letter, parked};
use super::progress::Done;
use super::timers::timer;
use super::{Findings, shown};
use crate::simulation::ledger::{Attempted, Entry, Out, Part, Who};
use crate::simulation::run::{Run, Stored};

/// What is durable of one service.
#[derive(Default)]
struct Durable {
    done: BTreeMap<TopicPartition, Done>,
    state: BTreeMap<(u32, Bytes), Bytes>,
    fates: Fates,
}

/// A commit that was given to the port.
struct Given<'a> {
    who: &'a Who,
    parts: &'a [Part],
    outputs: &'a [Out],
}

struct Walk<'a> {
    run: &'a Run,
    findings: &'a mut Findings,
    /// The records by their place.
    records: BTreeMap<Position, &'a Stored>,
    /// Which handler of a service took a record.
    handlers: BTreeMap<(&'a str, Position), String>,
    /// The event types that handlers of a service take from a topic.
    events: BTreeSet<(&'a str, Arc<str>, Option<&'a str>)>,
    /// The record before in the same lane.
    before: BTreeMap<(&'a str, Position), Position>,
    durable: BTreeMap<Arc<str>, Durable>,
    wanted: BTreeMap<&'a Who, &'a [Arc<str>]>,
    held: BTreeMap<&'a Who, BTreeSet<&'a TopicPartition>>,
    handled: BTreeMap<&'a Who, BTreeSet<&'a Position>>,
    attempts: BTreeMap<u64, (&'a Who, &'a Position)>,
    given: BTreeMap<u64, Given<'a>>,
    took: BTreeMap<(Arc<str>, &'a str), usize>,
    /// The ids of timers that were scheduled, by where they say that they stand.
    timers: BTreeMap<Position, String>,
}

pub(super) fn check(run: &Run, findings: &mut Findings) {
    let mut walk = Walk {
        run,
        findings,
        records: records(run),
        handlers: BTreeMap::new(),
        events: BTreeSet::new(),
        before: BTreeMap::new(),
        durable: BTreeMap::new(),
        wanted: BTreeMap::new(),
        held: BTreeMap::new(),
        handled: BTreeMap::new(),
        attempts: BTreeMap::new(),
        given: BTreeMap::new(),
        took: BTreeMap::new(),
        timers: BTreeMap::new(),
    };
    walk.learn_lanes();
    for (time, entry) in &run.ledger {
        walk.see(&format!("{time:?}"), entry);
    }
    walk.check_end();
}

fn records(run: &Run) -> BTreeMap<Position, &Stored> {
    let mut all = BTreeMap::new();
    for (topic, partitions) in &run.topics {
        for (number, records) in (0..).zip(partitions) {
            for record in records {
                let place = TopicPartition::new(Arc::clone(topic), number).at(record.offset);
                all.insert(place, record);
            }
        }
    }
    all
}

impl<'a> Walk<'a> {
    /// Which handler takes which record, and which record comes before it in its lane.
    fn learn_lanes(&mut self) {
        for (_, entry) in &self.run.ledger {
            match entry {
                Entry::Attempt { who, handler, position, .. } => {
                    self.handlers.insert((&who.group, position.clone()), handler.clone());
                }
                Entry::Commit { who, parts, outputs, .. } => {
                    for change in parts.iter().flat_map(|part| &part.changes) {
                        let entry = change.value.as_ref().and_then(|value| parked(&change.key, value));
                        if let Some(Ok(entry)) = entry {
                            self.handlers.insert((&who.group, entry.position), entry.handler);
                        }
                    }
                    for letter in outputs.iter().filter_map(|output| letter(&output.headers)) {
                        self.handlers.insert((&who.group, letter.origin), letter.handler);
                    }
                }
                _ => {}
            }
        }
        let mut last: BTreeMap<(&str, &str, &TopicPartition, &[u8]), &Position> = BTreeMap::new();
        for ((group, position), handler) in &self.handlers {
            let Some(record) = self.records.get(position) else { continue };
            self.events.insert((group, Arc::clone(&position.source.topic), record.event()));
            let Some(key) = record.key.as_deref() else { continue };
            if let Some(before) = last.insert((group, handler, &position.source, key), position) {
                self.before.insert((group, position.clone()), before.clone());
            }
        }
    }

    /// Whether a record is of a type that some handler of the service takes.
    fn is_event(&self, group: &str, position: &Position) -> bool {
        let event = self.records.get(position).and_then(|record| record.event());
        self.events.contains(&(group, Arc::clone(&position.source.topic), event))
    }

    fn see(&mut self, time: &str, entry: &'a Entry) {
        match entry {
            Entry::Joined { who, topics } => drop(self.wanted.insert(who, topics)),
            Entry::Told { who, event: LogEvent::Assigned { partitions, .. } } => {
                self.held.entry(who).or_default().extend(partitions);
            }
            Entry::Told { who, event: LogEvent::Lost { partitions } } | Entry::Released { who, partitions } => {
                let held = self.held.entry(who).or_default();
                held.retain(|partition| !partitions.contains(partition));
            }
            Entry::Attempt { who, number, position, .. } => drop(self.attempts.insert(*number, (who, position))),
            Entry::Ended { number, how: Attempted::Well } => {
                if let Some((who, position)) = self.attempts.get(number) {
                    self.handled.entry(who).or_default().insert(position);
                }
            }
            Entry::Commit { who, number, parts, outputs } => {
                self.check_owner(time, who, parts);
                self.given.insert(*number, Given { who, parts, outputs });
            }
            Entry::Took { number } => {
                if let Some(given) = self.given.remove(number) {
                    self.take(time, &given);
                }
            }
            _ => {}
        }
    }

    /// Who commits for a shard holds all of it: nothing was released, lost, or never had.
    fn check_owner(&mut self, time: &str, who: &'a Who, parts: &[Part]) {
        let held = self.held.entry(who).or_default();
        for part in parts {
            if part.progress.is_empty() {
                let message = format!("{time}: {who} commits shard {} without naming a partition", part.shard);
                self.findings.add("I6", message);
            }
            for topic in self.wanted.get(who).into_iter().copied().flatten() {
                let wanted = TopicPartition::new(Arc::clone(topic), part.shard);
                if !held.contains(&wanted) {
                    self.findings.add("I6", format!("{time}: {who} commits for {wanted}, which it does not own"));
                }
            }
        }
    }

    /// A commit took effect.
    fn take(&mut self, time: &str, given: &Given<'a>) {
        let (who, group) = (given.who, &given.who.group);
        let mut newly = BTreeSet::new();
        for part in given.parts {
            for (partition, stored) in &part.progress {
                let Some(done) = Done::read(stored) else {
                    self.findings.add("I5", format!("{time}: the progress of {partition} cannot be read"));
                    continue;
                };
                let durable = self.durable.entry(Arc::clone(group)).or_default();
                let before = durable.done.insert(partition.clone(), done.clone()).unwrap_or_default();
                if let Some(offset) = done.forgotten(&before).next() {
                    let message = format!("{time}: {who} forgets that {} is done", partition.at(offset));
                    self.findings.add("I2", message);
                }
                self.check_bound(time, who, partition, &done);
                for offset in done.since(&before) {
                    let position = partition.at(offset);
                    self.check_done(time, who, &position, &done);
                    newly.insert(position);
                }
            }
            let durable = self.durable.entry(Arc::clone(group)).or_default();
            for change in &part.changes {
                let key = (part.shard, change.key.clone());
                let was_there = match &change.value {
                    Some(value) => durable.state.insert(key, value.clone()).is_some(),
                    None => durable.state.remove(&key).is_some(),
                };
                // A timer that is gone is done like a record, whether it fired or was cancelled; some are gone before they were there.
                let Some((position, id)) = timer(group, part.shard, &change.key) else { continue };
                let is_handled = || self.handled.get(who).is_some_and(|handled| handled.contains(&position));
                if change.value.is_none() && (was_there || is_handled()) {
                    newly.insert(position.clone());
                }
                self.timers.insert(position, id);
            }
        }
        let units = self.follow(time, given, newly);
        let id_of = |position: &Position| match self.records.get(position) {
            Some(record) => record.id.as_deref(),
            None => self.timers.get(position).map(String::as_str),
        };
        let causes: BTreeSet<&str> = units.iter().filter_map(id_of).collect();
        let service = self.run.services.iter().find(|service| service.name == *group);
        for output in given.outputs {
            let topic = &output.target.topic;
            if let Some(id) = &output.id {
                *self.took.entry((Arc::clone(topic), id)).or_default() += 1;
            }
            // A dead letter tells of its record's own cause.
            if service.is_some_and(|service| service.letters == *topic) {
                continue;
            }
            if let Some(cause) = output.cause.as_deref().filter(|cause| !causes.contains(cause)) {
                let message =
                    format!("{time}: {who} emits to {topic} because of {cause}, whose unit is not in that commit");
                self.findings.add("I4", message);
            }
        }
    }

    /// What became of the records of a commit. Tells whose units may be in it.
    fn follow(&mut self, time: &str, given: &Given<'a>, done: BTreeSet<Position>) -> Vec<Position> {
        let (who, group) = (given.who, &given.who.group);
        let Some(service) = self.run.services.iter().find(|service| service.name == *group) else { return Vec::new() };
        let mut fates = std::mem::take(&mut self.durable.entry(Arc::clone(group)).or_default().fates);
        let taken = Taken { time, who, parts: given.parts, outputs: given.outputs, done };
        let handled = self.handled.remove(who).unwrap_or_default();
        let beside = Beside {
            service,
            handled: &handled,
            is_event: &|position| self.is_event(group, position),
            event: &|position| {
                let record = self.records.get(position)?;
                Some((record.source.clone(), record.id.clone()?))
            },
            before: &|position| self.before.get(&(group.as_ref(), position.clone())).cloned(),
        };
        let mut findings = Findings::default();
        let units = fates.take(&taken, &beside, &mut findings);
        self.findings.0.append(&mut findings.0);
        self.handled.insert(who, handled);
        self.durable.entry(Arc::clone(group)).or_default().fates = fates;
        units
    }

    fn check_bound(&mut self, time: &str, who: &Who, partition: &TopicPartition, done: &Done) {
        let service = self.run.services.iter().find(|service| service.name == who.group);
        let bound = service.map_or(usize::MAX, |service| service.undone.max(1));
        if done.undone.len() > bound {
            let message =
                format!("{time}: {who} holds {} records of {partition} undone, allowed are {bound}", done.undone.len());
            self.findings.add("I10", message);
        }
    }

    /// A record became done, and so was the one before it in its lane.
    fn check_done(&mut self, time: &str, who: &'a Who, position: &Position, done: &Done) {
        let group: &str = &who.group;
        if let Some(before) = self.before.get(&(group, position.clone())).filter(|before| !done.holds(before.offset)) {
            let key =
                self.records.get(position).and_then(|record| record.key.as_deref()).map(shown).unwrap_or_default();
            let message = format!("{time}: {position} is done before {before}, an older record of key {key}");
            self.findings.add("I3", message);
        }
    }

    /// Everything is done, and what is there is what was committed.
    fn check_end(&mut self) {
        for service in &self.run.services {
            let durable = self.durable.remove(&service.name).unwrap_or_default();
            for (position, _) in
                self.records.iter().filter(|(position, _)| service.inputs.contains(&position.source.topic))
            {
                if !durable.done.get(&position.source).is_some_and(|done| done.holds(position.offset)) {
                    self.findings.add("I1", format!("{position} was never done by {}", service.name));
                } else if self.is_event(&service.name, position) && !durable.fates.knows(position) {
                    let name = &service.name;
                    self.findings
                        .add("I1", format!("nobody knows what became of {position}, which {name} says is done"));
                }
            }
            Fates::check_end(&durable.state, service, self.findings);
            let there = self.run.states.get(&service.name).into_iter().flatten();
            let there = (0..).zip(there).flat_map(|(shard, entries)| {
                entries.iter().map(move |(key, value)| ((shard, key.clone()), value.clone()))
            });
            if there.collect::<BTreeMap<_, _>>() != durable.state {
                self.findings.add("I4", format!("the state of {} is not what its commits made it", service.name));
            }
        }
        for (topic, partitions) in &self.run.topics {
            for record in partitions.iter().flatten().filter(|record| record.cause.is_some()) {
                let known = record.id.as_deref().is_some_and(|id| self.took.contains_key(&(Arc::clone(topic), id)));
                if !known {
                    let id = record.id.as_deref().unwrap_or("without an id");
                    self.findings.add("I4", format!("event {id} stands in {topic}, and no commit emitted it"));
                }
            }
        }
    }
}
