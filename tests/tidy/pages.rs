//! Every error code has its page, every page its code, and the index both.

use std::collections::BTreeMap;

use crate::tree::{Finding, Tree};

/// Where the codes are declared.
const CODES: &str = "runtime/core/src/code.rs";
/// Where the pages stand.
const FOLDER: &str = "docs/errors/";
/// The list of all pages.
const INDEX: &str = "docs/errors/README.md";
/// What a page answers, in this order.
const HEADINGS: &[&str] = &["## What it means", "## Cause", "## Remedy"];

/// Codes, pages and index agree, and each page has its parts.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let codes = codes(tree);
    if codes.is_empty() {
        return vec![Finding::new(CODES, 1, "no error code was found in codes! { … }, so no page can be checked")];
    }
    let mut findings = Vec::new();
    let index = tree.text(INDEX).unwrap_or_default();
    for (code, line) in &codes {
        let page = format!("{FOLDER}{code}.md");
        match tree.text(&page) {
            Some(text) => findings.extend(check_page(&page, code, text)),
            None => findings.push(Finding::new(CODES, *line, format!("{code} has no page; write {page}"))),
        }
        if !index.contains(&format!("({code}.md)")) {
            findings.push(Finding::new(INDEX, 1, format!("{code} is not in the index; add its line")));
        }
    }
    let pages = tree.texts().filter_map(|(path, _)| path.strip_prefix(FOLDER).map(|name| (path, name)));
    for (path, name) in pages.filter(|(path, _)| *path != INDEX) {
        if name.strip_suffix(".md").is_none_or(|code| !codes.contains_key(code)) {
            let message = format!("no code in {CODES} belongs to this page; delete it or declare the code");
            findings.push(Finding::new(path, 1, message));
        }
    }
    for (at, line) in index.lines().enumerate() {
        let links = line.split("(TM-").skip(1).filter_map(|rest| rest.split_once(".md)"));
        for (number, _) in links.filter(|(number, _)| !codes.contains_key(&format!("TM-{number}"))) {
            findings.push(Finding::new(INDEX, at + 1, format!("TM-{number} is no code any more; take its line out")));
        }
    }
    findings
}

/// All declared codes as an operator sees them, each with the line of its declaration: `NAME = 101, Usage;`.
fn codes(tree: &Tree) -> BTreeMap<String, usize> {
    let Some(source) = tree.source(CODES) else { return BTreeMap::new() };
    let numbered = source.tokens.windows(4).filter(|part| part[1].is("=") && part[3].is(","));
    let numbers = numbered.filter_map(|part| {
        let number: u16 = part[2].text.parse().ok()?;
        part[0].is_word().then(|| (format!("TM-{number:04}"), part[0].line))
    });
    // The numbers of `enum Exit` look the same.
    let Some(begin) = codes_begin(tree) else { return BTreeMap::new() };
    numbers.filter(|(_, line)| *line > begin).collect()
}

/// The line of `codes! {`.
fn codes_begin(tree: &Tree) -> Option<usize> {
    let source = tree.source(CODES)?;
    let call = source.tokens.windows(3).find(|part| part[0].is("codes") && part[1].is("!") && part[2].is("{"))?;
    Some(call[0].line)
}

fn check_page(path: &str, code: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let title = text.lines().next().unwrap_or_default();
    if title.strip_prefix(&format!("# {code}: ")).is_none_or(|title| title.trim().is_empty()) {
        findings.push(Finding::new(path, 1, format!("the first line has to be `# {code}: ` and a title")));
    }
    let parts: Vec<(usize, &str)> = text.lines().enumerate().filter(|(_, line)| line.starts_with("## ")).collect();
    let headings: Vec<&str> = parts.iter().map(|(_, line)| line.trim_end()).collect();
    if headings != HEADINGS {
        findings.push(Finding::new(path, 1, format!("the parts have to be: {}", HEADINGS.join(", "))));
    }
    for (line, heading) in parts {
        let body = text.lines().skip(line + 1).take_while(|line| !line.starts_with("## "));
        if body.into_iter().all(|line| line.trim().is_empty()) {
            findings.push(Finding::new(path, line + 1, format!("nothing is said under `{heading}`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests;
