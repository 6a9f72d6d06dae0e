//! Puts together what was found.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::code::Coded;
use crate::headers;
use crate::internal::{DEAD_LETTERS, INTERNAL};
use crate::journey::scan::{Found, Scan};
use crate::journey::units::Units;
use crate::journey::{Asked, Event, Journey, What};
use crate::letters::Letter;
use crate::ports::Topics;
use crate::service::{Service, source};

/// Follows an event through the topics and the journals of these services. `None` where no record is found that it belongs to.
///
/// Each record in the part of the logs that is asked for is looked at once, or twice where the event that was asked for was not the first.
pub async fn follow(
    services: &[Arc<Service>],
    topics: &Arc<dyn Topics>,
    asked: &Asked,
) -> Result<Option<Journey>, Coded> {
    let Asked { id, from, to } = asked;
    let mut scan = Scan { topics: Arc::clone(topics), from: *from, to: *to, looked_at: 0 };
    let (journals, places) = scan.journals(services).await?;
    let mut found = scan.records(services, &[id], &places).await?;
    let is_it = |found: &&Found| found.id() == id || found.correlation() == id;
    let Some(correlation) = found.iter().find(is_it).map(|found| found.correlation().to_owned()) else {
        return Ok(None);
    };
    if correlation != *id {
        found = scan.records(services, &[&correlation], &places).await?;
    }
    let belongs = |found: &Found| found.id() == correlation || found.correlation() == correlation;
    let (mut events, mut records) = (Vec::new(), BTreeMap::new());
    for found in &found {
        let event = belongs(found).then(|| {
            events.push(event(found, id));
            events.len() - 1
        });
        records.insert(found.position.clone(), (found, event));
    }
    let mut units = Units { records, events, found: Vec::new() };
    for journal in &journals {
        units.take(journal);
    }
    let found: Vec<&Found> = found.iter().filter(|found| belongs(found)).collect();
    let Units { events, found: units, .. } = units;
    let mut journey = Journey { correlation, events, roots: Vec::new(), units, looked_at: scan.looked_at };
    journey.join(&found);
    Ok(Some(journey))
}

fn event(found: &Found, asked: &str) -> Event {
    let (record, _) = found.handled();
    let text = |name| record.headers.text(name).unwrap_or_default().to_owned();
    let mut at = found.record.timestamp;
    let what = match &found.command {
        Some((command, _)) => What::Command {
            wish: command.wish.name(),
            by: command.order.by.clone(),
            reason: command.order.reason.clone(),
        },
        None => Letter::read(&found.record).map_or(What::Event, |letter| {
            let Letter { id, round, code, message, last, .. } = letter;
            at = last;
            What::Letter { letter: id, round, code, message }
        }),
    };
    Event {
        position: found.position.clone(),
        at,
        id: found.id().to_owned(),
        event: text(headers::TYPE),
        key: record.key.clone(),
        source: text(headers::SOURCE),
        is_asked: what == What::Event && found.id() == asked,
        what,
        units: Vec::new(),
    }
}

impl Journey {
    /// Says of each event what it came of.
    fn join(&mut self, found: &[&Found]) {
        let (first, done) = (self.units_by_cause(false), self.units_by_cause(true));
        for (place, found) in found.iter().enumerate() {
            let text = |name| found.record.headers.text(name).unwrap_or_default().to_owned();
            let of_topic = |suffix| found.position.source.topic.strip_suffix(suffix).map(source).unwrap_or_default();
            let of = match &self.events[place].what {
                What::Command { .. } => first.get(&(of_topic(INTERNAL), found.id().to_owned())),
                What::Letter { .. } => first.get(&(of_topic(DEAD_LETTERS), found.id().to_owned())),
                What::Event => done.get(&(text(headers::SOURCE), text(headers::CAUSATION_ID))),
            };
            match of {
                Some(unit) => self.units[*unit].events.push(place),
                None => self.roots.push(place),
            }
        }
        self.roots.sort_by_key(|place| self.events[*place].at);
        for unit in &mut self.units {
            unit.events.sort_by_key(|place| self.events[*place].at);
        }
    }

    /// The unit that handled the event of an id, by the source that its service signs with: the first, or the one that was done, which may be
    /// that of an operator's command.
    fn units_by_cause(&self, is_done: bool) -> BTreeMap<(String, String), usize> {
        let mut units: BTreeMap<(String, String), usize> = BTreeMap::new();
        let is_meant = |event: &&Event| is_done || event.what == What::Event;
        let events = self.events.iter().filter(is_meant);
        let of_events = events.flat_map(|event| event.units.iter().map(|unit| (event.id.clone(), *unit)));
        let of_timers = self.units.iter().flat_map(|unit| &unit.timers).map(|fired| (fired.id.to_string(), fired.unit));
        for (id, unit) in of_events.chain(of_timers) {
            let known = units.entry((source(&self.units[unit].service), id)).or_insert(unit);
            if is_done && !self.units[*known].is_done() && self.units[unit].is_done() {
                *known = unit;
            }
        }
        units
    }
}
