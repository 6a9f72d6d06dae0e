//! Planted bugs: each has to be caught, or the checkers prove nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidemill_core::planted::{Bug, plant};

use crate::workloads::{self, Workload};

/// Seeds within which a bug has to be caught.
const SEEDS: u64 = 256;
/// Characters of what a bug breaks that are shown.
const SHOWN: usize = 140;

/// Digs the planted bug out again, whatever happens.
struct Planted;

impl Planted {
    fn of(bug: Bug) -> Self {
        plant(Some(bug));
        Self
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        plant(None);
    }
}

/// The first seed under which a workload shows the bug, and what it breaks.
fn caught(bug: Bug, workload: &Workload) -> Option<(u64, String)> {
    let simulation = (workload.simulation)();
    // What is right is found out before the bug is planted.
    let (_, violations) = simulation.trial(0, &[]);
    assert!(violations.is_empty(), "{}: {violations:?}", workload.name);
    let _planted = Planted::of(bug);
    (0..SEEDS).find_map(|seed| {
        let faults = simulation.faults(seed);
        match catch_unwind(AssertUnwindSafe(|| simulation.trial(seed, &faults))) {
            Ok((_, violations)) => violations.first().map(|first| (seed, first.to_string())),
            Err(_) => Some((seed, "an assertion of the core".to_owned())),
        }
    })
}

/// Plants every bug and tells how many were caught. Panics when one is not.
pub(crate) fn all_are_caught() -> usize {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let found = workloads::ALL.iter().find_map(|workload| Some((workload.name, caught(bug, workload)?)));
        match found {
            Some((workload, (seed, broken))) => {
                let broken: String = broken.chars().take(SHOWN).collect();
                crate::say(&format!("planted {bug:?}: caught by {workload}, seed {seed}: {broken}"));
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not caught within {SEEDS} seeds of any workload: {missed:?}");
    Bug::ALL.len()
}
