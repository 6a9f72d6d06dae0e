//! Dead letters and their records as they are printed.

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};
use tidemill_core::record::Record;

use super::book::Entry;
use super::closings::State;
use crate::command::{Output, print, print_json};
use crate::said::Said;

/// A letter without its record.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    id: &'a str,
    round: u32,
    service: &'a str,
    handler: &'a str,
    #[serde(rename = "type")]
    event: Option<&'a str>,
    key: Option<&'a str>,
    topic: &'a str,
    partition: u32,
    offset: u64,
    attempts: u32,
    first_failure: String,
    last_failure: String,
    class: &'a str,
    code: &'a str,
    fingerprint: &'a str,
    message: &'a str,
    then: &'a str,
    state: State,
    history: &'a [String],
}

impl<'a> Line<'a> {
    pub(super) fn of(entry: &'a Entry) -> Self {
        let letter = &entry.letter;
        Self {
            id: &letter.id,
            round: letter.round,
            service: &entry.service,
            handler: &letter.handler,
            event: letter.event(),
            key: letter.key(),
            topic: &letter.origin.source.topic,
            partition: letter.origin.source.partition,
            offset: letter.origin.offset,
            attempts: letter.attempts,
            first_failure: letter.first.to_string(),
            last_failure: letter.last.to_string(),
            class: &letter.class,
            code: &letter.code,
            fingerprint: &letter.fingerprint,
            message: &letter.message,
            then: &letter.then,
            state: entry.state,
            history: &letter.history,
        }
    }
}

#[derive(Serialize)]
struct Header<'a> {
    name: &'a str,
    value: Option<Said>,
}

/// A record, byte for byte.
#[derive(Serialize)]
struct Content<'a> {
    timestamp: String,
    key: Option<Said>,
    headers: Vec<Header<'a>>,
    value: Option<Said>,
}

impl<'a> Content<'a> {
    fn of(record: &'a Record) -> Self {
        let header = |(name, value): (&'a str, Option<&[u8]>)| Header { name, value: value.map(Said::of) };
        Self {
            timestamp: record.timestamp.to_string(),
            key: record.key.as_deref().map(Said::of),
            headers: record.headers.iter().map(header).collect(),
            value: record.value.as_deref().map(Said::of),
        }
    }

    /// Its lines for people.
    fn lines(&self) -> Vec<String> {
        let said = |said: &Option<Said>| said.as_ref().map_or("(none)".to_owned(), Said::to_line);
        let mut lines = vec![format!("timestamp: {}", self.timestamp), format!("key: {}", said(&self.key))];
        lines.extend(self.headers.iter().map(|header| format!("header {}: {}", header.name, said(&header.value))));
        lines.push(format!("value: {}", said(&self.value)));
        lines
    }
}

/// A line with the record that it is about.
#[derive(Serialize)]
pub(super) struct Whole<'a, L> {
    #[serde(flatten)]
    line: L,
    record: Content<'a>,
}

impl<'a, L: Serialize> Whole<'a, L> {
    pub(super) fn of(line: L, record: &'a Record) -> Self {
        Self { line, record: Content::of(record) }
    }

    /// Prints both. What the line says to people stands before the record.
    pub(super) fn print(&self, text: impl FnOnce(&L) -> Vec<String>, output: Output) -> Result<(), Coded> {
        if output == Output::Json {
            return print_json(self);
        }
        let lines: Vec<_> = text(&self.line).into_iter().chain([String::new()]).chain(self.record.lines()).collect();
        print(lines.join("\n"))
    }
}

/// A letter with its record.
pub(super) fn whole(entry: &Entry) -> Whole<'_, Line<'_>> {
    Whole::of(Line::of(entry), &entry.letter.record)
}

/// Prints letters with their records. Ids are unique in a service, so there is one nearly always.
pub(super) fn letters(entries: &[Entry], output: Output) -> Result<Exit, Coded> {
    entries.iter().try_for_each(|entry| whole(entry).print(text, output))?;
    Ok(Exit::Done)
}

fn text(line: &Line<'_>) -> Vec<String> {
    let mut lines = vec![
        format!("dead letter {}, round {}, {}", line.id, line.round, line.state.name()),
        format!("service {}, handler {}", line.service, line.handler),
        format!("from {}-{}@{}", line.topic, line.partition, line.offset),
        format!("failed {} times, from {} to {}", line.attempts, line.first_failure, line.last_failure),
        format!("{} ({}), fingerprint {}: {}", line.code, line.class, line.fingerprint, line.message),
        format!("its key: {}", line.then),
    ];
    lines.extend(line.history.iter().map(|round| format!("before: {round}")));
    lines
}
