//! A module says what it is about.

use crate::tree::{Finding, Tree};

/// Names that say nothing, so that everything ends up there.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "types", "manager", "managers"];

/// No file, folder or module has a name that says nothing, alone or as its last word.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        for part in path.split('/') {
            let name = part.strip_suffix(".rs").unwrap_or(part);
            if says_nothing(name) {
                findings.push(finding(path, 1, name));
            }
        }
        // A `#[path]` gives a module another name than its file.
        for (_, name, _) in source.modules() {
            if says_nothing(&name.text) {
                findings.push(finding(path, name.line, &name.text));
            }
        }
    }
    findings
}

fn says_nothing(name: &str) -> bool {
    let last = name.rsplit(['_', '-']).next().unwrap_or(name);
    EMPTY_NAMES.contains(&last.trim_start_matches("r#"))
}

fn finding(path: &str, line: usize, name: &str) -> Finding {
    Finding::new(path, line, format!("the name {name} says nothing; call it after what is in it"))
}

#[cfg(test)]
mod tests;
