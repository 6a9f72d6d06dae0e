//! Instances as they are found and shown: how they stand, how many there are, and what happened to them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::internal::{Wish, internal};
use tidemill_core::parking::Parked;
use tidemill_core::ports::KeyRange;
use tidemill_core::saga::{Happened, Instance, Status, instance};
use tidemill_core::state::Scope;
use tidemill_core::time::Timestamp;

use super::super::act::Act;
use crate::command::filter::{Fact, Field, Filter};
use crate::command::site::Site;
use crate::command::{Output, print, print_json, table};
use crate::query::entries;

/// An instance, and whose it is.
pub(super) struct Found {
    service: Arc<str>,
    saga: String,
    key: String,
    /// The key as it is, which may be no text.
    bytes: Vec<u8>,
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
    skipped: &'a [String],
}

/// Instances that stand alike.
#[derive(Debug, Serialize)]
struct Group<'a> {
    service: &'a str,
    saga: &'a str,
    status: &'static str,
    /// Their state, or how they ended.
    state: &'a str,
    count: u64,
    /// How long ago the oldest began.
    oldest_seconds: u64,
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
    times: u32,
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
        let Self { service, saga, key, shard, instance, .. } = self;
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
            skipped: &instance.skipped,
        }
    }
}

fn step(happened: &Happened) -> Step<'_> {
    let Happened { at: millis, event, id, from, to, emitted, times } = happened;
    Step { at: at(*millis), event, id: id.as_deref(), from, to, emitted, times: *times }
}

/// Which instances are meant.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    pub(super) filter: Option<&'a Filter>,
    pub(super) key: Option<&'a str>,
    /// Only those that began so long ago, or longer.
    pub(super) older_than: Option<Duration>,
}

impl Wanted<'_> {
    fn takes(&self, found: &Found, now: Timestamp) -> bool {
        let age = now.since(Timestamp::from_millis(found.instance.began));
        self.key.is_none_or(|key| key == found.key)
            && self.older_than.is_none_or(|least| age >= least)
            && self.filter.is_none_or(|filter| filter.holds(&|field| found.fact(field)))
    }
}

/// The instances of each service that are meant, those that changed last at the end.
pub(super) async fn read(site: &Site, wanted: &Wanted<'_>) -> Result<Vec<Found>, Coded> {
    let (mut all, now) = (Vec::new(), site.host.clock().now());
    for service in &site.names {
        let mut found = Vec::new();
        let ranges = match site.service(service) {
            Some(known) => known.sagas().map(|(saga, _)| KeyRange::prefix(Scope::handler(saga).into_bytes())).collect(),
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
                let entry =
                    Found { service: Arc::clone(service), saga, key: text, bytes: bytes.to_vec(), shard, instance };
                if wanted.takes(&entry, now) {
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
    let found = read(site, &Wanted { key: Some(key), ..Wanted::default() }).await?;
    if found.is_empty() {
        return Err(Coded::new(Code::NOTHING_MATCHES, format!("no saga has an instance of key {key}")));
    }
    Ok(found)
}

/// The instances that need a person, of these keys if there are any. A key that has none is an error, and so is nothing that matches.
pub(super) async fn in_need(site: &Site, filter: Option<&Filter>, keys: &[String]) -> Result<Vec<Found>, Coded> {
    let mut found = read(site, &Wanted { filter, ..Wanted::default() }).await?;
    found.retain(|found| match found.instance.status {
        Status::NeedsPerson => keys.is_empty() || keys.contains(&found.key),
        // Whether it goes on by itself is known where it is; who names it may know better.
        Status::Compensating => keys.contains(&found.key),
        Status::Running | Status::Ended(_) => false,
    });
    let missing = keys.iter().find(|key| found.iter().all(|found| found.key != **key));
    let nothing = |message| Err(Coded::new(Code::NOTHING_MATCHES, message));
    match missing {
        Some(key) => nothing(format!("no instance of key {key} needs a person")),
        None if found.is_empty() => nothing("no instance needs a person".to_owned()),
        None => Ok(found),
    }
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

/// How many instances stand alike, and how old the oldest of them is.
pub(super) fn count(site: &Site, found: &[Found], output: Output) -> Result<Exit, Coded> {
    let now = site.host.clock().now();
    let mut groups = BTreeMap::<_, (u64, u64)>::new();
    for found in found {
        let line = found.line(now);
        let name = (line.service, line.saga, line.status, line.outcome.unwrap_or(line.state));
        let (count, oldest) = groups.entry(name).or_default();
        *count += 1;
        *oldest = line.age_seconds.max(*oldest);
    }
    let group = |((service, saga, status, state), (count, oldest_seconds))| Group {
        service,
        saga,
        status,
        state,
        count,
        oldest_seconds,
    };
    let groups: Vec<Group<'_>> = groups.into_iter().map(group).collect();
    table::list(&groups, output, ["service", "saga", "status", "state", "count", "oldest"], |group| {
        [
            group.service.to_owned(),
            group.saga.to_owned(),
            group.status.to_owned(),
            group.state.to_owned(),
            group.count.to_string(),
            format!("{}s", group.oldest_seconds),
        ]
    })
}

/// What is wanted of each of these instances, one act for each.
pub(super) fn acts(found: Vec<Found>, wish: &Wish) -> Vec<Act> {
    let act = |found: Found| {
        let Found { service, saga, key, bytes, shard, .. } = found;
        let target = Parked::of_key(&saga, &internal(&service), shard, &bytes);
        Act::on_instance(service, shard, key, (wish.clone(), target))
    };
    found.into_iter().map(act).collect()
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
                    row("skipped", line.skipped.join(", ")),
                ];
                print(table::lay_out(["what", "value"], &rows))?;
            }
        }
    }
    Ok(Exit::Done)
}

pub(super) fn history(found: &[Found], output: Output) -> Result<Exit, Coded> {
    let steps: Vec<Step<'_>> = found.iter().flat_map(|found| found.instance.history.iter().map(step)).collect();
    table::list(&steps, output, ["at", "event", "times", "from", "to", "emitted"], |step| {
        let from = if step.from.is_empty() { "-" } else { step.from };
        [
            step.at.clone(),
            step.event.to_owned(),
            step.times.to_string(),
            from.to_owned(),
            step.to.to_owned(),
            step.emitted.join(", "),
        ]
    })
}
