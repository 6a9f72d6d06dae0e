//! Tests stand beside the code, in their own files; `unsafe` stands where the C client is.

use crate::lexer::Source;
use crate::tree::{Finding, Tree};

/// The only crate that may hold `unsafe`.
const UNSAFE_HOME: &str = "runtime/kafka/";

/// No test inside a source file, no `unsafe` outside its crate.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        if !is_test(path) {
            findings.extend(inline_tests(path, source));
        }
        if !path.starts_with(UNSAFE_HOME) {
            let words = source.tokens.iter().filter(|token| token.is_word() && token.text == "unsafe");
            findings.extend(words.map(|word| Finding::new(path, word.line, "unsafe belongs to runtime/kafka only")));
        }
    }
    findings
}

/// Whether a file holds tests: `tests.rs`, or anything in a folder `tests`.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn inline_tests(path: &str, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, name, here) in source.modules().filter(|(_, _, here)| *here) {
        let marked = at.checked_sub(1).is_some_and(|before| is_for_tests(source, before));
        if here && (marked || matches!(name.text.as_str(), "test" | "tests")) {
            let message = "tests stand in a sibling tests.rs; leave `#[cfg(test)] mod tests;` here";
            findings.push(Finding::new(path, name.line, message));
        }
    }
    for at in (0..source.tokens.len()).filter(|at| source.tokens[*at].is("#") && source.is(Some(at + 1), "[")) {
        if is_test_attribute(source, at + 1) {
            findings.push(Finding::new(path, source.tokens[at].line, "a test stands in a sibling tests.rs"));
        }
    }
    findings
}

/// Whether the attribute whose bracket opens at `open` is a path that ends in `test`: `#[test]`, `#[tokio::test(…)]`.
fn is_test_attribute(source: &Source, open: usize) -> bool {
    let path = source.tokens[open + 1..].iter().take_while(|token| token.is_word() || token.is("::"));
    path.last().is_some_and(|last| last.is("test"))
}

/// Whether the attribute that ends at `at` is `#[cfg(test)]`.
fn is_for_tests(source: &Source, at: usize) -> bool {
    let end = &source.tokens[at];
    let words =
        || source.tokens[end.partner..at].iter().filter(|token| token.is_word()).map(|token| token.text.as_str());
    end.is("]") && words().eq(["cfg", "test"])
}

#[cfg(test)]
mod tests;
