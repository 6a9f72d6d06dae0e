//! Attempts: one of a key at a time (I3), no more of them at once than is allowed (I10).

use std::collections::BTreeMap;

use super::{Findings, shown};
use crate::simulation::ledger::{Entry, Who};
use crate::simulation::run::Run;

/// The lane of an attempt.
type Lane<'a> = (&'a Who, &'a str, &'a [u8]);

pub(super) fn check(run: &Run, findings: &mut Findings) {
    let mut busy: BTreeMap<Lane<'_>, u64> = BTreeMap::new();
    let mut begun: BTreeMap<u64, (&Who, Option<Lane<'_>>)> = BTreeMap::new();
    let mut at_once: BTreeMap<&Who, usize> = BTreeMap::new();
    let shards = run.topics.values().map(Vec::len).max().unwrap_or(0);
    for (time, entry) in &run.ledger {
        match entry {
            Entry::Attempt { who, number, handler, position, key } => {
                let lane = key.as_deref().map(|key| (who, handler.as_str(), key));
                if let Some(lane) = lane
                    && busy.insert(lane, *number).is_some()
                {
                    let (key, handler) = (shown(lane.2), lane.1);
                    findings.add(
                        "I3",
                        format!("{time:?}: {who} handles {position} in {handler} while an older record of key {key} is under way"),
                    );
                }
                begun.insert(*number, (who, lane));
                let count = at_once.entry(who).or_default();
                *count += 1;
                let service = run.services.iter().find(|service| service.name == who.group);
                let bound = service.map_or(usize::MAX, |service| service.in_flight.max(1) + shards);
                if *count > bound {
                    findings.add("I10", format!("{time:?}: {who} has {count} attempts under way, allowed are {bound}"));
                }
            }
            Entry::Ended { number, .. } => {
                let Some((who, lane)) = begun.remove(number) else { continue };
                *at_once.entry(who).or_default() -= 1;
                if let Some(lane) = lane.filter(|lane| busy.get(lane) == Some(number)) {
                    busy.remove(&lane);
                }
            }
            _ => {}
        }
    }
}
