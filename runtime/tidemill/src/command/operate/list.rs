//! `dead-letters list`: letters, or kinds of them.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};
use tidemill_core::time::Timestamp;

use super::book::Entry;
use super::shown::Line;
use crate::command::{Output, print, print_json, table};

pub(super) fn letters(entries: &[Entry], output: Output) -> Result<Exit, Coded> {
    match output {
        Output::Json => print_json(&entries.iter().map(Line::of).collect::<Vec<_>>())?,
        Output::Table => {
            let row = |entry: &Entry| {
                let letter = &entry.letter;
                [
                    letter.id.clone(),
                    entry.state.name().to_owned(),
                    entry.service.to_string(),
                    letter.handler.clone(),
                    letter.event().unwrap_or("-").to_owned(),
                    letter.key().unwrap_or("-").to_owned(),
                    letter.last.to_string(),
                    letter.code.clone(),
                    letter.message.clone(),
                ]
            };
            let titles = ["id", "state", "service", "handler", "type", "key", "last failure", "code", "message"];
            print(table::lay_out(titles, &entries.iter().map(row).collect::<Vec<_>>()))?;
        }
    }
    Ok(Exit::Done)
}

/// Letters of one kind.
#[derive(Serialize)]
struct Group<'a> {
    fingerprint: &'a str,
    count: usize,
    code: &'a str,
    handler: &'a str,
    message: &'a str,
    /// When the first and the last of them failed last.
    first: String,
    last: String,
}

/// The kinds, the most frequent first.
pub(super) fn groups(entries: &[Entry], output: Output) -> Result<Exit, Coded> {
    let mut kinds: BTreeMap<&str, (&Entry, usize, Timestamp, Timestamp)> = BTreeMap::new();
    for entry in entries {
        let at = entry.letter.last;
        let (_, count, first, last) = kinds.entry(&entry.letter.fingerprint).or_insert((entry, 0, at, at));
        *count += 1;
        (*first, *last) = (at.min(*first), at.max(*last));
    }
    let mut groups: Vec<Group<'_>> = kinds
        .into_values()
        .map(|(Entry { letter, .. }, count, first, last)| Group {
            fingerprint: &letter.fingerprint,
            count,
            code: &letter.code,
            handler: &letter.handler,
            message: &letter.message,
            first: first.to_string(),
            last: last.to_string(),
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    let titles = ["fingerprint", "count", "code", "handler", "first", "last", "message"];
    table::list(&groups, output, titles, |group| {
        let Group { fingerprint, count, code, handler, message, first, last } = group;
        let count = count.to_string();
        [*fingerprint, &count, code, handler, first, last, message].map(str::to_owned)
    })
}
