//! `sagas list`, `sagas show` and `sagas history`: processes, how they stand, and what happened to them.

use std::ops::Bound;

use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::ports::KeyRange;
use tidemill_core::saga::{Happened, Instance, Status, instance};
use tidemill_core::state::Scope;
use tidemill_core::time::Timestamp;

use super::site::Site;
use crate::command::filter::{Fact, Field, Filter};
use crate::command::{Output, print, print_json, table};
use crate::query::entries;

/// An instance, and whose it is.
pub(super) struct Found {
    service: String,
    saga: String,
    key: String,
    shard: u32,
    instance: Instance,
}

/// An instance, for programs.
#[derive(Serialize)]
struct Line<'a> {
    service: &'a str,
    saga: &'a str,
    key: &'a str,
    shard: u32,
    status: &'static str,
    /// The state, the last one where it does not run any more.
    state: &'a str,
    /// How it ended, if it did.
    outcome: Option<&'a str>,
    reason: Option<&'a str>,
    began: String,
    changed: String,
    age_seconds: u64,
    to_undo: Vec<&'a str>,
    undone: &'a [String],
}

/// One thing that happened, for programs.
#[derive(Serialize)]
struct Step<'a> {
    at: String,
    event: &'a str,
    id: Option<&'a str>,
    from: &'a str,
    to: &'a str,
    emitted: &'a [String],
}

fn at(millis: i64) -> String {
    Timestamp::from_millis(millis).to_string()
}

impl Found {
    fn status(&self) -> &'static str {
        match self.instance.status {
            Status::Running => "running",
            Status::Compensating => "compensating",
            Status::NeedsPerson => "needs-person",
            Status::Ended(_) => "ended",
        }
    }

    fn fact(&self, field: Field) -> Fact<'_> {
        match field {
            Field::Service => Fact::Text(&self.service),
            Field::Handler => Fact::Text(&self.saga),
            Field::Key | Field::Id => Fact::Text(&self.key),
            Field::State => Fact::Text(&self.instance.state),
            Field::Class => Fact::Text(self.status()),
            Field::Message => self.instance.reason.as_deref().map_or(Fact::Nothing, Fact::Text),
            Field::Partition => Fact::Number(self.shard.into()),
            Field::Time => Fact::Time(Timestamp::from_millis(self.instance.changed)),
            Field::Type
            | Field::Topic
            | Field::Code
            | Field::Fingerprint
            | Field::Offset
            | Field::Attempts
            | Field::Round => Fact::Nothing,
        }
    }

    fn line(&self, now: Timestamp) -> Line<'_> {
        let Self { service, saga, key, shard, instance } = self;
        Line {
            service,
            saga,
            key,
            shard: *shard,
            status: self.status(),
            state: &instance.state,
            outcome: if let Status::Ended(outcome) = &instance.status { Some(outcome) } else { None },
            reason: instance.reason.as_deref(),
            began: at(instance.began),
            changed: at(instance.changed),
            age_seconds: now.since(Timestamp::from_millis(instance.began)).as_secs(),
            to_undo: instance.to_undo().collect(),
            undone: &instance.undone,
        }
    }
}

fn step(happened: &Happened) -> Step<'_> {
    let Happened { at: millis, event, id, from, to, emitted } = happened;
    Step { at: at(*millis), event, id: id.as_deref(), from, to, emitted }
}

/// The instances of each service that match, those that changed last at the end.
pub(super) async fn read(site: &Site, filter: Option<&Filter>, key: Option<&str>) -> Result<Vec<Found>, Coded> {
    let mut all = Vec::new();
    for service in &site.names {
        let mut found = Vec::new();
        let ranges = match site.service(service) {
            Some(known) => known.saga_names().map(|saga| KeyRange::prefix(Scope::handler(saga).into_bytes())).collect(),
            None => vec![KeyRange { start: Bound::Unbounded, end: Bound::Unbounded }],
        };
        for range in ranges {
            entries(site.broker(), service, &range, |shard, entry| {
                let Some((saga, bytes, instance)) = instance(&entry) else { return Ok(()) };
                let instance = instance.map_err(|error| {
                    let message = format!("an instance of saga {saga} of service {service} cannot be read: {error}");
                    Coded::new(Code::STATE_UNREADABLE, message)
                })?;
                let (saga, text) = (saga.to_owned(), String::from_utf8_lossy(bytes).into_owned());
                let entry = Found { service: service.to_string(), saga, key: text, shard, instance };
                if key.is_none_or(|key| key == entry.key)
                    && filter.is_none_or(|filter| filter.holds(&|field| entry.fact(field)))
                {
                    found.push(entry);
                }
                Ok(())
            })
            .await?;
        }
        found.sort_by_key(|found| found.instance.changed);
        all.append(&mut found);
    }
    Ok(all)
}

/// The instances of a key, of which there has to be one at least.
pub(super) async fn need(site: &Site, key: &str) -> Result<Vec<Found>, Coded> {
    let found = read(site, None, Some(key)).await?;
    if found.is_empty() {
        return Err(Coded::new(Code::NOTHING_MATCHES, format!("no saga has an instance of key {key}")));
    }
    Ok(found)
}

pub(super) fn list(site: &Site, found: &[Found], output: Output) -> Result<Exit, Coded> {
    let now = site.host.clock().now();
    let lines: Vec<Line<'_>> = found.iter().map(|found| found.line(now)).collect();
    let titles = ["service", "saga", "key", "status", "state", "age", "reason"];
    table::list(&lines, output, titles, |line| {
        [
            line.service.to_owned(),
            line.saga.to_owned(),
            line.key.to_owned(),
            line.status.to_owned(),
            line.outcome.unwrap_or(line.state).to_owned(),
            format!("{}s", line.age_seconds),
            line.reason.unwrap_or_default().to_owned(),
        ]
    })
}

pub(super) fn show(site: &Site, found: &[Found], output: Output) -> Result<Exit, Coded> {
    let now = site.host.clock().now();
    for found in found {
        let line = found.line(now);
        match output {
            Output::Json => print_json(&line)?,
            Output::Table => {
                let row = |name: &str, value: String| [name.to_owned(), value];
                let rows = [
                    row("saga", format!("{} of service {}, shard {}", line.saga, line.service, line.shard)),
                    row("key", line.key.to_owned()),
                    row("status", line.status.to_owned()),
                    row("state", line.state.to_owned()),
                    row("outcome", line.outcome.unwrap_or("-").to_owned()),
                    row("reason", line.reason.unwrap_or("-").to_owned()),
                    row("began", line.began.clone()),
                    row("changed", line.changed.clone()),
                    row("to undo", line.to_undo.join(", ")),
                    row("undone", line.undone.join(", ")),
                ];
                print(table::lay_out(["what", "value"], &rows))?;
            }
        }
    }
    Ok(Exit::Done)
}

pub(super) fn history(found: &[Found], output: Output) -> Result<Exit, Coded> {
    let steps: Vec<Step<'_>> = found.iter().flat_map(|found| found.instance.history.iter().map(step)).collect();
    table::list(&steps, output, ["at", "event", "from", "to", "emitted"], |step| {
        let from = if step.from.is_empty() { "-" } else { step.from };
        [step.at.clone(), step.event.to_owned(), from.to_owned(), step.to.to_owned(), step.emitted.join(", ")]
    })
}
