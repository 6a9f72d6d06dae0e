//! `outbox`: events that wait to be sent, and those that the log did not take.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Subcommand;
use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::headers::{self, Headers};
use tidemill_core::ports::{Outbox as Port, OutboxRow, Which};

use crate::command::{Options, Output, print, print_json, table};
use crate::config::Configuration;
use crate::host::outbox;

/// Rows that are read at a time.
const PAGE: usize = 1_000;
/// How many rows `list` shows unless told otherwise.
const SHOWN: usize = 100;

/// The body of `outbox`: shows what lies in the outbox of the place that `state` names, and what becomes of rows that the log did not
/// take.
#[derive(Debug, Subcommand)]
pub enum Outbox {
    /// List rows, the oldest first.
    List(List),
    /// Show everything that is known of one row.
    Show(Show),
    /// Have parked rows sent after all, each before those that wait behind it.
    Retry(Deed),
    /// Delete parked rows, which are never sent then; those behind them go on.
    Discard(Deed),
}

#[derive(Debug, clap::Args)]
struct About {
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    options: Options,
}

/// Options of `outbox list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only rows that the log did not take.
    #[arg(long)]
    parked: bool,
    /// How many rows to show.
    #[arg(long, value_name = "N", default_value_t = SHOWN)]
    limit: usize,
    #[command(flatten)]
    about: About,
}

/// Options of `outbox show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Its id, as the list shows it.
    id: u64,
    #[command(flatten)]
    about: About,
}

/// Options of `outbox retry` and `outbox discard`.
#[derive(Debug, clap::Args)]
pub struct Deed {
    /// The ids of parked rows, as the list shows them.
    #[arg(required_unless_present = "all")]
    ids: Vec<u64>,
    /// All parked rows.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Why; it is kept beside what was done.
    #[arg(long)]
    reason: String,
    /// Do it. Without this, what would be done is shown and nothing is changed.
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    about: About,
}

#[derive(Serialize)]
struct Line {
    id: u64,
    event: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    topic: String,
    key: Option<String>,
    at: String,
    parked: Option<String>,
}

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    line: Line,
    partition: Option<u32>,
    headers: Vec<(String, Option<String>)>,
    /// The value, in base 64.
    value: Option<String>,
}

impl Outbox {
    /// Does what is asked for.
    pub(super) async fn carry_out(self) -> Result<Exit, Coded> {
        match self {
            Self::List(List { parked, limit, about }) => {
                let mut outbox = open(&about).await?;
                let which = if parked { Which::Parked } else { Which::All };
                let rows = outbox.list(which, None, limit).await?;
                let fill = outbox.fill().await?;
                tracing::info!(waiting = fill.waiting, parked = fill.parked, "rows in the outbox");
                lines(&rows, about.output)
            }
            Self::Show(Show { id, about }) => show(&mut *open(&about).await?, id, about.output).await,
            Self::Retry(deed) => deed.carry_out(true).await,
            Self::Discard(deed) => deed.carry_out(false).await,
        }
    }
}

async fn open(about: &About) -> Result<Box<dyn Port>, Coded> {
    let mut outbox = outbox(&Configuration::load(&about.options)?)?;
    outbox.open().await?;
    Ok(outbox)
}

impl Line {
    fn of(row: &OutboxRow) -> Self {
        let named = |name: &str| text(&row.headers, name);
        Self {
            id: row.id,
            event: named(headers::ID),
            kind: named(headers::TYPE),
            topic: row.topic.to_string(),
            key: row.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()),
            at: row.at.to_string(),
            parked: row.parked.clone(),
        }
    }
}

fn text(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

fn lines(rows: &[OutboxRow], output: Output) -> Result<Exit, Coded> {
    let lines: Vec<Line> = rows.iter().map(Line::of).collect();
    let titles = ["id", "event", "type", "topic", "key", "at", "parked"];
    table::list(&lines, output, titles, |line| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let Line { id, event, kind, topic, key, at, parked } = line;
        [id.to_string(), or_none(event), or_none(kind), topic.clone(), or_none(key), at.clone(), or_none(parked)]
    })
}

fn unknown(id: u64) -> Coded {
    Coded::new(Code::NOTHING_MATCHES, format!("there is no row {id} in the outbox; it may be sent by now"))
}

async fn show(outbox: &mut dyn Port, id: u64, output: Output) -> Result<Exit, Coded> {
    let found = outbox.list(Which::All, id.checked_sub(1), 1).await?;
    let row = found.into_iter().find(|row| row.id == id).ok_or_else(|| unknown(id))?;
    let header = |(name, value): (&str, Option<&[u8]>)| {
        (name.to_owned(), value.map(|value| String::from_utf8_lossy(value).into_owned()))
    };
    let whole = Whole {
        line: Line::of(&row),
        partition: row.partition,
        headers: row.headers.iter().map(header).collect(),
        value: row.value.as_ref().map(|value| BASE64.encode(value)),
    };
    match output {
        Output::Json => print_json(&whole)?,
        Output::Table => {
            let Whole { line, partition, headers, value } = whole;
            let mut rows = vec![
                ("topic".to_owned(), Some(line.topic)),
                ("partition".to_owned(), partition.map(|partition| partition.to_string())),
                ("key".to_owned(), line.key),
                ("at".to_owned(), Some(line.at)),
                ("parked".to_owned(), line.parked),
            ];
            rows.extend(headers);
            rows.push(("value (base 64)".to_owned(), value));
            let rows: Vec<_> =
                rows.into_iter().map(|(name, value)| [name, value.unwrap_or_else(|| "-".to_owned())]).collect();
            print(table::lay_out(["of", &format!("row {id}")], &rows))?;
        }
    }
    Ok(Exit::Done)
}

impl Deed {
    async fn carry_out(self, sends: bool) -> Result<Exit, Coded> {
        let mut outbox = open(&self.about).await?;
        let rows = self.rows(&mut *outbox).await?;
        if rows.is_empty() {
            return Err(Coded::new(Code::NOTHING_MATCHES, "no row of the outbox is parked"));
        }
        let mut exit = Exit::Done;
        for row in rows.iter().filter(|_| self.execute) {
            let is_done = if sends {
                outbox.retry(row.id, &self.reason).await?
            } else {
                outbox.discard(row.id, &self.reason).await?
            };
            if !is_done {
                tracing::warn!(id = row.id, "it is not parked any more");
                exit = Exit::Partly;
            }
        }
        lines(&rows, self.about.output)?;
        let what = if sends { "sent after all" } else { "deleted" };
        let done = if self.execute { "done" } else { "nothing was changed; --execute does it" };
        tracing::info!(rows = rows.len(), what, "{done}");
        Ok(exit)
    }

    /// The parked rows that are meant.
    async fn rows(&self, outbox: &mut dyn Port) -> Result<Vec<OutboxRow>, Coded> {
        let (mut parked, mut after) = (Vec::new(), None);
        loop {
            let page = outbox.list(Which::Parked, after, PAGE).await?;
            after = page.last().map(|row| row.id);
            let is_last = page.len() < PAGE;
            parked.extend(page);
            if is_last {
                break;
            }
        }
        if let Some(other) = self.ids.iter().find(|id| parked.iter().all(|row| row.id != **id)) {
            let message = format!("row {other} of the outbox is not parked");
            return Err(Coded::new(Code::NOTHING_MATCHES, message));
        }
        parked.retain(|row| self.all || self.ids.contains(&row.id));
        Ok(parked)
    }
}
