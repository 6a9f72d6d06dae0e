//! What a replay prints: unit by unit, or differences, and what all came to.

use std::io::{self, BufWriter, Stdout, Write};
use std::ops::ControlFlow;

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};

use super::Form;
use super::fact::is_meant;
use crate::command::filter::Filter;
use crate::command::{is_read, print, print_json, print_line};
use crate::replay::{Comparison, Difference, Field, Ran, Replay, Shown};
use crate::telemetry;

/// Bytes of lines that are written at once.
const OUT_BYTES: usize = 64 * 1024;

/// What all came to.
#[derive(Debug, Default, Serialize)]
struct Summary {
    records: u64,
    emitted: u64,
    #[serde(flatten)]
    compared: Option<Compared>,
    /// Units that could not run: what they handled was parked or scheduled before the state begins.
    unknown: u64,
}

/// How events compare.
#[derive(Debug, Default, Serialize)]
struct Compared {
    equal: u64,
    different: u64,
    missing: u64,
    extra: u64,
    moved: u64,
    failing: u64,
    mended: u64,
}

/// A difference, and whose it is.
#[derive(Serialize)]
struct Line<'l> {
    service: &'l str,
    #[serde(flatten)]
    difference: &'l Difference,
}

/// Prints as it goes, where the form lets it.
pub(super) struct Report {
    form: Form,
    filter: Option<Filter>,
    limit: u64,
    summary: Summary,
    /// Whether anything is not as it was.
    differs: bool,
    /// What is printed at the end, where all is one object.
    held: Vec<serde_json::Value>,
    /// Where units are printed: a line for each would be a call of the system for each.
    out: BufWriter<Stdout>,
    /// Whether nobody reads any more.
    is_unread: bool,
}

impl Report {
    pub(super) fn new(form: Form, filter: Option<Filter>, limit: Option<u64>) -> Self {
        let (summary, held) = (Summary::default(), Vec::new());
        let out = BufWriter::with_capacity(OUT_BYTES, std::io::stdout());
        Self { form, filter, limit: limit.unwrap_or(u64::MAX), summary, differs: false, held, out, is_unread: false }
    }

    /// Whether no unit ran that was meant.
    pub(super) const fn is_empty(&self) -> bool {
        self.summary.records == 0
    }

    /// Runs a replay, and prints each unit.
    pub(super) async fn run(&mut self, name: &str, replay: &Replay) -> Result<(), Coded> {
        let service = replay.service().clone();
        let _capture = telemetry::capture();
        let ran = replay
            .run(|told, took| {
                let log = telemetry::captured();
                if is_meant(self.filter.as_ref(), name, &told) {
                    self.summary.records += 1;
                    self.summary.emitted += told.outputs.len() as u64;
                    self.unit(&Shown::of(&service, &told, log, took))?;
                }
                let is_over = self.summary.records >= self.limit || self.is_unread;
                Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .await?;
        let Ran { unknown, .. } = ran;
        self.summary.unknown += unknown;
        let flushed = self.out.flush();
        self.wrote(flushed)
    }

    fn unit(&mut self, unit: &Shown) -> Result<(), Coded> {
        let written = match self.form {
            Form::Table => writeln!(self.out, "{}", unit.lines().join("\n")),
            Form::Jsonl => {
                serde_json::to_writer(&mut self.out, unit).map_err(io::Error::from).and_then(|()| writeln!(self.out))
            }
            Form::Json => {
                self.held.push(json(unit));
                Ok(())
            }
        };
        self.wrote(written)
    }

    /// A reader that has enough and went away is no error; the replay ends with it.
    fn wrote(&mut self, written: io::Result<()>) -> Result<(), Coded> {
        self.is_unread |= !is_read(written)?;
        Ok(())
    }

    /// Prints how a replay compares.
    pub(super) fn compared(&mut self, name: &str, comparison: Comparison) -> Result<(), Coded> {
        self.differs |= !comparison.is_equal();
        let Comparison {
            records,
            emitted,
            equal,
            different,
            missing,
            extra,
            moved,
            failing,
            mended,
            unknown,
            differences,
        } = comparison;
        self.summary.records += records;
        self.summary.emitted += emitted;
        self.summary.unknown += unknown;
        let all = self.summary.compared.get_or_insert_default();
        all.equal += equal;
        all.different += different;
        all.missing += missing;
        all.extra += extra;
        all.moved += moved;
        all.failing += failing;
        all.mended += mended;
        for difference in &differences {
            let line = Line { service: name, difference };
            match self.form {
                Form::Table => print(described(&line))?,
                Form::Jsonl => print_line(&line)?,
                Form::Json => self.held.push(json(&line)),
            }
        }
        if self.form == Form::Table {
            print(format!(
                "{name}: {records} units, {emitted} events: {equal} equal, {different} different, {missing} missing, {extra} extra, \
                 {moved} in another order, {failing} units failing, {mended} mended"
            ))?;
        }
        Ok(())
    }

    /// Prints what all came to; problems where anything differs.
    pub(super) fn end(self) -> Result<Exit, Coded> {
        let Summary { records, emitted, unknown, .. } = self.summary;
        match self.form {
            Form::Table if self.summary.compared.is_some() => {}
            Form::Table => print(format!("{records} units ran again and emitted {emitted} events"))?,
            Form::Jsonl => print_line(&serde_json::json!({ "summary": json(&self.summary) }))?,
            Form::Json => {
                let list = if self.summary.compared.is_some() { "differences" } else { "units" };
                let mut whole = json(&self.summary);
                whole[list] = serde_json::Value::Array(self.held);
                print_json(&whole)?;
            }
        }
        if unknown > 0 {
            tracing::warn!(
                unknown,
                "units could not run: what they handled was parked or scheduled before the state begins"
            );
        }
        Ok(if self.differs { Exit::Problems } else { Exit::Done })
    }
}

fn json(data: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(data).expect("what is printed has text keys and no failing parts")
}

fn described(line: &Line<'_>) -> String {
    let Difference { kind, position, topic, id, event, fields, failure, .. } = line.difference;
    let kind = json(kind);
    let place = if topic.is_empty() { String::new() } else { format!(" to {topic}  id {id}") };
    let said = |value: &Option<serde_json::Value>| value.as_ref().map_or("(none)".to_owned(), ToString::to_string);
    let field = |field: &Field| format!("    {}: {} -> {}", field.name, said(&field.then), said(&field.now));
    let mut lines = vec![format!("{}  {position}  {event}{place}", kind.as_str().unwrap_or_default())];
    lines.extend(fields.iter().map(field));
    lines.extend(failure.iter().map(|failure| format!("    {failure}")));
    lines.join("\n")
}
