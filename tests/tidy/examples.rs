//! Every example is compiled by a test: none is switched off, and pages with examples are part of some crate's documentation.

use crate::tree::{Finding, Tree, has_extension};

/// How a block of Rust begins on a page.
const RUST_BLOCK: &str = "```rust";

/// No block says `ignore`, and every page with a block of Rust is read in by a source file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        for (first, comment) in &source.comments {
            findings.extend(ignored(path, *first, comment));
        }
    }
    for (path, text) in tree.texts().filter(|(path, _)| has_extension(path, "md")) {
        findings.extend(ignored(path, 1, text));
        let block = text.lines().position(|line| line.trim_start().starts_with(RUST_BLOCK));
        if let Some(at) = block.filter(|_| !is_read_in(tree, path)) {
            let message = "no test compiles this example; read the page in with #[doc = include_str!(…)]";
            findings.push(Finding::new(path, at + 1, message));
        }
    }
    findings
}

/// Blocks that are switched off. In a comment, the line begins with its slashes.
fn ignored(path: &str, first: usize, text: &str) -> Vec<Finding> {
    let is_ignored = |line: &str| {
        let line = line.trim_start().trim_start_matches(['/', '!', '*']).trim_start();
        let words = line.strip_prefix("```");
        words.is_some_and(|words| words.split([',', ' ']).any(|word| word.starts_with("ignore")))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| is_ignored(line));
    let message = "an example that nobody compiles; write it so that it compiles, or point to one that does";
    lines.map(|(at, _)| Finding::new(path, first + at, message)).collect()
}

/// Whether a source file includes the page by a path that ends as the page's own does.
fn is_read_in(tree: &Tree, page: &str) -> bool {
    tree.sources().any(|(_, source)| {
        let includes = source.tokens.windows(4).filter(|part| part[0].is("include_str") && part[1].is("!"));
        includes.into_iter().any(|part| {
            let path = part[3].text.trim_matches('"');
            path.trim_start_matches("../") == page
        })
    })
}

#[cfg(test)]
mod tests;
