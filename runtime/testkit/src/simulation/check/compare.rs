//! A disturbed run against one in which nothing went wrong: the same events, the same state (I1, I2).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemill_core::journal::is_own;
use tidemill_core::state::ScopeKey;

use super::parked::{is_known, is_parked, open_letter};
use super::{Findings, Violation, shown};
use crate::simulation::run::{Run, Stored};

/// What to look at when state differs. Said once, behind the first difference.
pub(super) const ADVICE: &str = "The handler saw the same events. Look for what it keeps outside of the context (a static, a field that \
    changes), for what it does in another order, and for what it takes from elsewhere than the event and the context.";

/// Differences between what a run left behind and what it should have.
pub(crate) fn compare(undisturbed: &Run, run: &Run) -> Vec<Violation> {
    let mut findings = Findings::default();
    if run.settled {
        compare_events(undisturbed, run, &mut findings);
        compare_states(undisturbed, run, &mut findings);
        compare_watched(undisturbed, run, &mut findings);
    }
    findings.0
}

/// The events of a topic by their ids.
fn by_id(partitions: &[Vec<Stored>]) -> BTreeMap<&str, &Stored> {
    partitions.iter().flatten().filter_map(|record| Some((record.id.as_deref()?, record))).collect()
}

fn compare_events(undisturbed: &Run, run: &Run, findings: &mut Findings) {
    let by_operators =
        |topic: &Arc<str>| run.services.iter().any(|known| known.commands == *topic || known.operations == *topic);
    // What operators do, and how often, follows from what they see.
    for (topic, partitions) in run.topics.iter().filter(|(topic, _)| !by_operators(topic)) {
        let wanted = undisturbed.topics.get(topic).map(|partitions| by_id(partitions)).unwrap_or_default();
        let found = by_id(partitions);
        for (id, record) in &wanted {
            let key = record.key.as_deref().map(shown).unwrap_or_default();
            match found.get(id) {
                None => findings.add("I1", format!("event {id} of key {key} is missing in topic {topic}")),
                Some(other) if other.value != record.value || other.key != record.key => {
                    findings
                        .add("I2", format!("event {id} of key {key} in topic {topic} says something else. {ADVICE}"));
                }
                Some(_) => {}
            }
        }
        for id in found.keys().filter(|id| !wanted.contains_key(*id)) {
            findings.add("I2", format!("event {id} in topic {topic} is not emitted when nothing goes wrong. {ADVICE}"));
        }
    }
}

fn compare_states(undisturbed: &Run, run: &Run, findings: &mut Findings) {
    for (service, shards) in &run.states {
        let wanted: BTreeMap<_, _> = undisturbed.states.get(service).into_iter().flatten().flatten().cloned().collect();
        let found: BTreeMap<_, _> = shards.iter().flatten().cloned().collect();
        let all: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
        for key in all {
            let (wanted, found) = (wanted.get(key), found.get(key));
            // Of a letter, that it is open counts, and not since when; what is parked, and what is known of events, shows elsewhere.
            if is_parked(key)
                || is_known(key)
                || is_own(key)
                || open_letter(key).is_some() && wanted.is_some() == found.is_some()
            {
                continue;
            }
            if wanted != found {
                let place = ScopeKey::parse(key).map_or_else(
                    || format!("a state key of {service} that cannot be read"),
                    |place| {
                        format!("{} of handler {} in {service}, key {}", place.name, place.handler, shown(place.key))
                    },
                );
                let value =
                    |value: Option<&bytes::Bytes>| value.map_or("nothing".to_owned(), |value| format!("{value:?}"));
                let (wanted, found) = (value(wanted), value(found));
                findings.add("I2", format!("{place}, is {found}, and {wanted} when nothing goes wrong. {ADVICE}"));
            }
        }
    }
}

fn compare_watched(undisturbed: &Run, run: &Run, findings: &mut Findings) {
    for ((name, wanted), (_, found)) in undisturbed.watched.iter().zip(&run.watched) {
        if wanted != found {
            findings.add(
                "I2",
                format!(
                    "{name}: {found}, and {wanted} when nothing goes wrong. What a handler does outside of the context happens \
                     once for every attempt: pass `Context::idempotency_key` on, or emit an event and let its consumer do it."
                ),
            );
        }
    }
}
