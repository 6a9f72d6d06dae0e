//! The core stays pure: what it needs of the world comes through its ports.

use crate::lexer::Source;
use crate::tree::{Finding, Tree};

/// The crate that this holds for.
const CORE: &str = "runtime/core/src/";
/// Modules of the standard library that touch the world.
const WORLD: &[&str] = &["env", "fs", "net", "os", "process", "thread"];
/// Names of the standard library, wherever they come from, that read a clock or wait by one.
const CLOCKS: &[&str] = &["Instant", "SystemTime"];

/// The core names no file, socket, process, thread or clock. Its tests may.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources().filter(|(path, _)| path.starts_with(CORE) && !path.ends_with("tests.rs")) {
        let clocks = (0..source.tokens.len()).filter(|at| CLOCKS.contains(&&*source.tokens[*at].text));
        for at in clocks.chain(from_std(source).filter(|at| WORLD.contains(&&*source.tokens[*at].text))) {
            let token = &source.tokens[at];
            let message = format!("the core does not know std's {}; take it in through a port", token.text);
            findings.push(Finding::new(path, token.line, message));
        }
    }
    findings
}

/// Where the words stand that follow `std::` directly, or begin an entry of `std::{…}`.
fn from_std(source: &Source) -> impl Iterator<Item = usize> {
    let roots = (0..source.tokens.len()).filter(|at| source.tokens[*at].is("std") && source.is(Some(at + 1), "::"));
    roots.flat_map(move |at| {
        let next = at + 2;
        let end = if source.is(Some(next), "{") { source.tokens[next].partner } else { next + 1 };
        (next..end).filter(move |at| *at == next || source.is(Some(at - 1), "{") || source.is(Some(at - 1), ","))
    })
}

#[cfg(test)]
mod tests;
