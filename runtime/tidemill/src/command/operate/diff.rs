//! What an edit changes, line by line.

use serde_json::Value;
use tidemill_core::record::Record;

use crate::said::Said;

/// The lines that stand in one of two records only: `- ` before those of the old one, `+ ` before those of the new one. Values that are
/// JSON are laid out first.
pub(super) fn changes(old: &Record, new: &Record) -> Vec<String> {
    let mut changes = between(&headers(old), &headers(new));
    changes.extend(between(&value(old), &value(new)));
    changes
}

fn headers(record: &Record) -> Vec<String> {
    let line = |(name, value): (&str, Option<&[u8]>)| {
        format!("header {name}: {}", value.map_or("(none)".to_owned(), |value| Said::of(value).to_line()))
    };
    record.headers.iter().map(line).collect()
}

fn value(record: &Record) -> Vec<String> {
    let Some(value) = &record.value else { return vec!["(no value)".to_owned()] };
    let laid_out =
        serde_json::from_slice::<Value>(value).ok().and_then(|json| serde_json::to_string_pretty(&json).ok());
    let text = laid_out.unwrap_or_else(|| Said::of(value).to_line());
    text.lines().map(str::to_owned).collect()
}

/// What stands between the first and the last lines that both have.
fn between(old: &[String], new: &[String]) -> Vec<String> {
    let first = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[first..], &new[first..]);
    let last = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let gone = old[..old.len() - last].iter().map(|line| format!("- {line}"));
    gone.chain(new[..new.len() - last].iter().map(|line| format!("+ {line}"))).collect()
}

#[cfg(test)]
mod tests;
