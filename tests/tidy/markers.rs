//! Nothing is left half done, and nothing is bound to the machine on which it was written.

use crate::lexer::{Kind, Source};
use crate::tree::{Finding, Tree, has_extension};

/// Macros that stand for code that is missing.
const MISSING_CODE: &[&str] = &["todo", "unimplemented"];
/// Words in capitals that tell of work that is missing.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("HA", "CK")];
/// What a comment says where the code is not meant to stay.
const EXCUSES: &[&str] = &["for now", "placeholder"];
/// Folders at the root that exist on one machine only.
const MACHINE_FOLDERS: &[&str] = &["work/", "root/", "home/", "tmp/bash_jobs"];
/// The only registry that the lock file may name.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Files, beside the Rust ones, in which somebody writes comments.
const SCRIPTS: &[&str] = &[".toml", ".yml", ".yaml", ".sh", ".ci/run"];

/// No marks of missing work, no paths of a machine, no registry but the public one.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        findings.extend(missing_code(path, source));
        for (line, comment) in &source.comments {
            findings.extend(marks(path, *line, comment, true));
        }
        let literals = source.tokens.iter().filter(|token| token.kind == Kind::Literal && !token.text.starts_with('/'));
        findings.extend(literals.flat_map(|token| marks(path, token.line, &token.text, false)));
    }
    for (path, text) in tree.texts() {
        if SCRIPTS.iter().any(|ending| path.ends_with(ending)) {
            findings.extend(marks(path, 1, text, true));
        }
        findings.extend(machine(path, text));
    }
    findings.sort();
    findings.dedup();
    findings
}

fn missing_code(path: &str, source: &Source) -> Vec<Finding> {
    let calls = source.tokens.windows(2).filter(|part| part[1].is("!"));
    let missing = calls.filter(|part| MISSING_CODE.contains(&part[0].text.as_str()));
    missing
        .map(|part| Finding::new(path, part[0].line, format!("{}! stands for missing code; write it", part[0].text)))
        .collect()
}

/// The marks in a text that begins on line `first`.
fn marks(path: &str, first: usize, text: &str, is_comment: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words = || line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let mark = MARKS.iter().find(|mark| words().any(|word| word == **mark));
        let lower = line.to_lowercase();
        let excuse = EXCUSES.iter().find(|excuse| is_comment && has_words(&lower, excuse));
        if let Some(found) = mark.or(excuse) {
            let message = format!("{found:?}: finish it, or say what it does and leave the rest to an issue");
            findings.push(Finding::new(path, first + at, message));
        }
    }
    findings
}

/// Whether `words` stand in a line, not as a part of longer ones.
fn has_words(line: &str, words: &str) -> bool {
    line.match_indices(words).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + words.len()..].chars().next());
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// What is true on one machine only.
fn machine(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(found) = MACHINE_FOLDERS.iter().find(|found| names_at_root(line, found)) {
            findings.push(Finding::new(
                path,
                at + 1,
                format!("/{found} is a folder of one machine; take a relative path"),
            ));
        }
        let source = line.strip_prefix("source = ").filter(|_| path == "Cargo.lock");
        if source.is_some_and(|source| source.trim_matches('"') != REGISTRY) {
            findings.push(Finding::new(path, at + 1, "a package comes from elsewhere than crates.io"));
        }
        let section = line.trim_start();
        let replaces = ["[source.", "[registr", "replace-with"].iter().any(|key| section.starts_with(key));
        if replaces && has_extension(path, "toml") {
            findings.push(Finding::new(
                path,
                at + 1,
                "a registry belongs in a machine's own settings, not in the project",
            ));
        }
    }
    findings
}

/// Whether a path in this line begins at the root with `folder`; a folder of that name further down does not count.
fn names_at_root(line: &str, folder: &str) -> bool {
    let is_deeper =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-' | '}' | '*' | '$' | '/');
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].strip_suffix('/');
        before.is_some_and(|before| !before.chars().next_back().is_some_and(is_deeper))
    })
}

#[cfg(test)]
mod tests;
