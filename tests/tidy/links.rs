//! Pages point to files that are there.

use crate::tree::{Finding, Tree, has_extension};

/// Every relative link of a page leads to a file of the project.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (page, text) in tree.texts().filter(|(path, _)| has_extension(path, "md")) {
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, line) in text.lines().enumerate() {
            for target in targets(line) {
                let path = resolve(folder, target);
                if tree.text(&path).is_none() {
                    findings.push(Finding::new(page, at + 1, format!("it points to {path}, which is not there")));
                }
            }
        }
    }
    findings
}

/// Where the links `[…](TARGET)` of a line lead, those to other places than files left out.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.filter_map(|target| target.split('#').next())
}

/// The path from the root, of a target beside the files of `folder`.
fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests;
