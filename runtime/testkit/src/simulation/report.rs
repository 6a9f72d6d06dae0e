//! What many runs came to, and what a failure looks like.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use super::Simulation;
use super::fault::Planned;
use super::ledger::Entry;
use super::run::Run;

/// The most violations that a failure names.
const MOST_NAMED: usize = 12;

/// What many runs came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many seeds ran.
    pub seeds: u64,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Virtual time, all runs together.
    pub simulated: Duration,
    /// Commits that took effect.
    pub commits: u64,
    /// Attempts of handlers.
    pub attempts: u64,
}

impl Report {
    /// Counts a run in.
    pub fn add(&mut self, run: &Run) {
        self.seeds += 1;
        self.simulated += run.simulated;
        for (_, entry) in &run.ledger {
            match entry {
                Entry::Spent { fault, .. } => *self.faults.entry(fault.kind()).or_default() += 1,
                Entry::Took { .. } => self.commits += 1,
                Entry::Attempt { .. } => self.attempts += 1,
                _ => {}
            }
        }
    }

    /// Counts other runs in.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.commits += other.commits;
        self.attempts += other.attempts;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.faults.values().sum();
        write!(f, "{} seeds, {all} faults", self.seeds)?;
        let mut before = " (";
        for (kind, count) in &self.faults {
            write!(f, "{before}{kind}: {count}")?;
            before = ", ";
        }
        if all > 0 {
            f.write_str(")")?;
        }
        let (commits, attempts) = (self.commits, self.attempts);
        write!(f, ", {commits} commits, {attempts} attempts, {} simulated seconds", self.simulated.as_secs())
    }
}

/// A failure in words: what was broken, after which faults, and the test that shows it again.
pub(super) fn failure(simulation: &Simulation, seed: u64, faults: &[Planned]) -> String {
    let (run, violations) = simulation.trial(seed, faults);
    let mut text = format!("seed {seed} breaks what was promised, with {} faults:\n", faults.len());
    for violation in violations.iter().take(MOST_NAMED) {
        let _ = writeln!(text, "  {violation}");
    }
    if violations.len() > MOST_NAMED {
        let _ = writeln!(text, "  and {} more", violations.len() - MOST_NAMED);
    }
    text.push_str("What went wrong before:\n");
    for (time, entry) in &run.ledger {
        match entry {
            Entry::Spent { fault, to } => drop(writeln!(text, "  {time:?}: {}: {to}", fault.kind())),
            Entry::Left { who, result: Err(cause) } => drop(writeln!(text, "  {time:?}: {who} stopped: {cause}")),
            _ => {}
        }
    }
    let _ = writeln!(text, "The test that shows it again:\n");
    let _ = writeln!(text, "#[test]\nfn seed_{seed}_keeps_its_promises() {{\n    simulation().replay({seed}, &[");
    for planned in faults {
        let _ = writeln!(text, "        {planned},");
    }
    text.push_str("    ]);\n}\n");
    text
}
