//! The invariants, checked by reading the ledger and what lies in the topics and the state when all is over. Nothing here
//! is shared with the runtime: progress is decoded, and state put together, by code of its own.

mod attempts;
mod commits;
mod compare;
mod ends;
mod fates;
mod parked;
mod progress;
mod timers;

use std::fmt;

use super::run::Run;

use compare::ADVICE;
pub(crate) use compare::compare;
pub(in crate::simulation) use parked::waiting;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one: `I1` to `I10`.
    pub invariant: &'static str,
    /// What was seen.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.invariant, self.message)
    }
}

/// Gathers what was broken.
#[derive(Default)]
pub(crate) struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, invariant: &'static str, message: String) {
        self.0.push(Violation { invariant, message });
    }
}

/// Checks everything that holds for any service.
pub(crate) fn check(run: &Run) -> Vec<Violation> {
    let mut findings = Findings::default();
    attempts::check(run, &mut findings);
    commits::check(run, &mut findings);
    ends::check(run, &mut findings);
    run.replays.iter().for_each(|what| findings.add("I8", format!("in a replay, {what}. {ADVICE}")));
    findings.0
}

/// A key in words.
fn shown(key: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(key))
}
