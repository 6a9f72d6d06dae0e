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

/// One declared code.
struct Declared {
    /// How its page and its index line tell the exit code: the number that `enum Exit` gives it.
    exit: String,
    line: usize,
}

/// Codes, pages and index agree, and each page has its parts.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let codes = codes(tree);
    if codes.is_empty() {
        return vec![Finding::new(CODES, 1, "no error code was found in codes! { … }, so no page can be checked")];
    }
    let mut findings = Vec::new();
    let index = tree.text(INDEX).unwrap_or_default();
    for (code, Declared { exit, line }) in &codes {
        let page = format!("{FOLDER}{code}.md");
        match tree.text(&page) {
            Some(text) => findings.extend(check_page(&page, code, exit, text)),
            None => findings.push(Finding::new(CODES, *line, format!("{code} has no page; write {page}"))),
        }
        match index.lines().position(|line| line.contains(&format!("({code}.md)"))) {
            None => findings.push(Finding::new(INDEX, 1, format!("{code} is not in the index; add its line"))),
            Some(at) if !index.lines().nth(at).is_some_and(|line| line.ends_with(&format!("| {exit} |"))) => {
                findings.push(Finding::new(
                    INDEX,
                    at + 1,
                    format!("the line of {code} has to end with its exit code, {exit}"),
                ));
            }
            Some(_) => {}
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

/// All declared codes as an operator sees them: `NAME = 101, Usage;` inside `codes! { … }`, with `Usage = 2` of `enum Exit`.
fn codes(tree: &Tree) -> BTreeMap<String, Declared> {
    let Some(source) = tree.source(CODES) else { return BTreeMap::new() };
    let call = source.tokens.windows(3).position(|part| part[0].is("codes") && part[1].is("!") && part[2].is("{"));
    let Some(call) = call else { return BTreeMap::new() };
    let (before, inside) = source.tokens.split_at(call);
    let numbers = before.windows(4).filter(|part| part[1].is("=") && part[3].is(","));
    let numbers: BTreeMap<&str, &str> = numbers.map(|part| (&*part[0].text, &*part[2].text)).collect();
    let declared = inside.windows(6).filter(|part| part[1].is("=") && part[3].is(",") && part[5].is(";"));
    declared
        .filter_map(|part| {
            let number: u16 = part[2].text.parse().ok()?;
            let exit = numbers.get(&*part[4].text).copied().unwrap_or("?").to_owned();
            Some((format!("TM-{number:04}"), Declared { exit, line: part[0].line }))
        })
        .collect()
}

fn check_page(path: &str, code: &str, exit: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.contains(&format!("Exit code {exit}.")) {
        findings.push(Finding::new(path, 1, format!("it has to say `Exit code {exit}.`, as {CODES} does")));
    }
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
