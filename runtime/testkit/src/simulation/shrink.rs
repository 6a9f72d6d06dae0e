//! A failing run with fewer faults.

use super::Simulation;
use super::fault::Planned;

/// Runs that are tried; a run takes a few milliseconds.
const MOST_RUNS: usize = 400;

/// Leaves out faults, many at once first, as long as the same invariant is broken.
pub(super) fn shrink(simulation: &Simulation, seed: u64, mut faults: Vec<Planned>, invariant: &str) -> Vec<Planned> {
    let (mut size, mut runs) = (faults.len().div_ceil(2), 0);
    while size > 0 {
        let (mut begin, before) = (0, faults.len());
        while begin < faults.len() && runs < MOST_RUNS {
            let mut fewer = faults.clone();
            fewer.drain(begin..(begin + size).min(faults.len()));
            runs += 1;
            let (_, violations) = simulation.trial(seed, &fewer);
            if violations.iter().any(|violation| violation.invariant == invariant) {
                faults = fewer;
            } else {
                begin += size;
            }
        }
        // One that could not go alone may go once others have.
        size = if size == 1 && faults.len() < before { 1 } else { size / 2 };
    }
    faults
}
