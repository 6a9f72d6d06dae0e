//! How the run ended: everything done (I1), in time, nobody stuck and nobody stopped without a reason (I9), every event in
//! its topic once (I2).

use std::collections::BTreeMap;

use tidemill_core::code::Code;

use super::Findings;
use super::parked::letter;
use crate::simulation::SOURCE;
use crate::simulation::fault::{Fault, Ruling, Trick};
use crate::simulation::ledger::{Attempted, Entry, Who};
use crate::simulation::run::Run;

pub(super) fn check(run: &Run, findings: &mut Findings) {
    if run.ledger.iter().any(|(_, entry)| matches!(entry, Entry::Spins)) {
        findings.add("I9", "the workers wake themselves again and again and nothing changes".to_owned());
    } else if !run.settled {
        let message = "minutes after the last fault some records are not done, or a worker does not stop when asked to";
        findings.add("I9", message.to_owned());
    }
    check_stops(run, findings);
    check_copies(run, findings);
}

/// A service may stop by itself only where something failed.
fn check_stops(run: &Run, findings: &mut Findings) {
    let mut failures: BTreeMap<&Who, usize> = BTreeMap::new();
    let mut owners: BTreeMap<u64, &Who> = BTreeMap::new();
    let mut ground_failed = false;
    for (time, entry) in &run.ledger {
        match entry {
            Entry::Attempt { who, number, .. } => drop(owners.insert(*number, who)),
            Entry::Ended { number, how: Attempted::Badly } => {
                if let Some(who) = owners.get(number) {
                    *failures.entry(who).or_default() += 1;
                }
            }
            Entry::Spent { fault: Fault::Handler(Trick::Never | Trick::Panics), to } => {
                for who in owners.values().filter(|who| to.ends_with(&who.to_string())) {
                    *failures.entry(who).or_default() += 1;
                }
            }
            Entry::Spent { fault, .. } => {
                ground_failed |= matches!(
                    fault,
                    Fault::ReadFails | Fault::StoreFull(_) | Fault::Commit { ruling: Ruling::NotCommitted, .. }
                );
            }
            Entry::Left { who, result: Err(cause) } => {
                let is_explained = match cause.code {
                    Code::HANDLER_FAILED => failures.contains_key(who),
                    Code::BACKEND_FAILED | Code::WRITE_FAILED => ground_failed,
                    _ => false,
                };
                if !is_explained {
                    findings.add("I9", format!("{time:?}: {who} stopped by itself though nothing failed: {cause}"));
                }
            }
            _ => {}
        }
    }
}

/// An event stands once in its topic, but for what was fed again, or an operator put there; a dead letter once for each round.
fn check_copies(run: &Run, findings: &mut Findings) {
    for (topic, partitions) in &run.topics {
        let of_letters = run.services.iter().any(|service| service.letters == *topic);
        let mut seen = BTreeMap::new();
        for record in partitions.iter().flatten() {
            let Some(id) = record.id.as_ref().filter(|_| record.source.as_deref() != Some(SOURCE)) else { continue };
            let letter = letter(&record.headers).filter(|_| of_letters).map(|letter| (letter.id, letter.round));
            let count = seen.entry((&record.source, id, letter)).or_insert(0);
            *count += 1;
            let operated = run.ledger.iter().filter(|(_, entry)| match entry {
                Entry::Operated { target, id: Some(again) } => target.topic == *topic && again == id,
                _ => false,
            });
            if *count > 1 && *count > 1 + operated.count() {
                let cause = record.cause.as_deref().unwrap_or("nothing");
                findings.add("I2", format!("event {id}, caused by {cause}, stands more than once in topic {topic}"));
            }
        }
    }
}
