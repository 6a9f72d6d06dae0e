//! What the README tells people to run is what CI runs.

use crate::tree::{Finding, Tree};

const README: &str = "README.md";
const CI: &str = ".ci/run";
/// How the script runs one of its steps.
const STEP: &str = "step ";
/// The step that runs the tests.
const TESTS: &str = "cargo test ";

/// The tests are a step of CI, and every command that the README shows in a block of its own is one, letter by letter.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let script = tree.text(CI).unwrap_or_default();
    let steps: Vec<&str> = script.lines().filter_map(|line| line.trim().strip_prefix(STEP)).collect();
    let Some(tests) = steps.iter().find(|step| step.starts_with(TESTS)) else {
        return vec![Finding::new(CI, 1, format!("no step runs the tests; add `{STEP}{TESTS}…`"))];
    };
    let commands = shown(tree.text(README).unwrap_or_default());
    let mut findings = Vec::new();
    if !commands.iter().any(|(_, command)| command == tests) {
        findings.push(Finding::new(README, 1, format!("no block shows the command that {CI} runs: `{tests}`")));
    }
    for (line, command) in commands.iter().filter(|(_, command)| !steps.contains(command)) {
        findings.push(Finding::new(README, *line, format!("{CI} does not run `{command}`; add it as a step")));
    }
    findings
}

/// The `cargo` commands in the blocks of a text, without their comments, each with its line.
fn shown(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut commands = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        }
        let command = line.split(" #").next().unwrap_or(line).trim().trim_start_matches("$ ");
        if inside && command.starts_with("cargo ") {
            commands.push((at + 1, command));
        }
    }
    commands
}

#[cfg(test)]
mod tests;
