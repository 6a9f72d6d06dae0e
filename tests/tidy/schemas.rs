//! Every version of a schema has a sample beside it.

use crate::tree::{Finding, Tree};

/// The catalogue: `schemas/DOMAIN/EVENT/vN.avsc`, and `vN.json` as its sample.
const FOLDER: &str = "schemas/";

/// Schemas and samples stand in pairs.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.texts().filter(|(path, _)| path.starts_with(FOLDER)) {
        let Some((stem, kind)) = path.rsplit_once('.').filter(|(_, kind)| matches!(*kind, "avsc" | "json")) else {
            continue;
        };
        if !is_version(stem) {
            findings.push(Finding::new(path, 1, "it has to be schemas/DOMAIN/EVENT/vN, with the version as N"));
        }
        let (other, what) = if kind == "avsc" { ("json", "sample") } else { ("avsc", "schema") };
        if tree.text(&format!("{stem}.{other}")).is_none() {
            findings.push(Finding::new(path, 1, format!("its {what} is missing; add {stem}.{other}")));
        }
    }
    findings
}

fn is_version(stem: &str) -> bool {
    let parts: Vec<&str> = stem.split('/').collect();
    let number = parts.last().and_then(|name| name.strip_prefix('v'));
    parts.len() == 4 && number.is_some_and(|number| number.parse::<u16>().is_ok_and(|number| number > 0))
}

#[cfg(test)]
mod tests;
