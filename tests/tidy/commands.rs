//! What the README tells people to run is what CI runs.

use crate::tree::{Finding, Tree};

const README: &str = "README.md";
const CI: &str = ".ci/run";
/// How the script runs one of its steps.
const STEP: &str = "step ";
/// The step that runs the tests.
const TESTS: &str = "cargo test ";

/// The test command of CI stands in the README, letter by letter.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let script = tree.text(CI).unwrap_or_default();
    let steps = script.lines().filter_map(|line| line.trim().strip_prefix(STEP));
    let Some(command) = steps.into_iter().find(|step| step.starts_with(TESTS)) else {
        return vec![Finding::new(CI, 1, format!("no step runs the tests; add `{STEP}{TESTS}…`"))];
    };
    let Some(readme) = tree.text(README) else {
        return vec![Finding::new(README, 1, format!("it is missing; it has to show `{command}`"))];
    };
    if readme.lines().any(|line| line.trim().trim_start_matches("$ ") == command) {
        return Vec::new();
    }
    vec![Finding::new(README, 1, format!("no line of its own shows the command that {CI} runs: `{command}`"))]
}

#[cfg(test)]
mod tests;
