//! Planted bugs: each has to be caught, or the checkers prove nothing.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidemill_core::planted::{Bug, plant};
use tidemill_testkit::simulation::Simulation;

use crate::workloads::{self, Workload};

/// Seeds within which a bug has to be caught, in steps: what one workload shows at once, others need not look for long.
const SEEDS: [u64; 5] = [0, 4, 16, 64, 256];
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

/// A workload in which all is well as long as nothing is planted.
fn right(workload: &Workload) -> Simulation {
    let simulation = (workload.simulation)();
    let (_, violations) = simulation.trial(0, &[]);
    assert!(violations.is_empty(), "{}: {violations:?}", workload.name);
    simulation
}

/// The first of these seeds under which a simulation shows the bug, and what it breaks.
fn caught(bug: Bug, simulation: &Simulation, mut seeds: Range<u64>) -> Option<(u64, String)> {
    let _planted = Planted::of(bug);
    seeds.find_map(|seed| {
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
    // What is right is found out before a bug is planted.
    let simulations: Vec<_> = workloads::ALL.iter().map(|workload| (workload.name, right(workload))).collect();
    for bug in Bug::ALL {
        let found = SEEDS.windows(2).find_map(|seeds| {
            let mut all = simulations.iter();
            all.find_map(|(name, simulation)| Some((*name, caught(bug, simulation, seeds[0]..seeds[1])?)))
        });
        match found {
            Some((workload, (seed, broken))) => {
                let broken: String = broken.chars().take(SHOWN).collect();
                crate::say(&format!("planted {bug:?}: caught by {workload}, seed {seed}: {broken}"));
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not caught within {SEEDS:?} seeds of any workload: {missed:?}");
    Bug::ALL.len()
}
