//! `timers list`: what is due when, and for whom.

use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::timers::{self, Pending};

use crate::command::filter::{Fact, Field, Filter};
use crate::command::site::Site;
use crate::command::{Output, table};
use crate::query::entries;

#[derive(Serialize)]
struct Line {
    service: String,
    handler: String,
    key: Option<String>,
    name: String,
    #[serde(rename = "type")]
    event: String,
    due: String,
    /// Below zero where it is due already.
    due_in_seconds: i64,
    scheduled: String,
    shard: u32,
    /// The id of its event.
    id: String,
}

impl Line {
    fn fact<'a>(&'a self, pending: &Pending, field: Field) -> Fact<'a> {
        match field {
            Field::Id => Fact::Text(&self.id),
            Field::Service => Fact::Text(&self.service),
            Field::Handler => Fact::Text(&self.handler),
            Field::Type => Fact::Text(&self.event),
            Field::Key => self.key.as_deref().map_or(Fact::Nothing, Fact::Text),
            Field::State => Fact::Text(&self.name),
            Field::Partition => Fact::Number(self.shard.into()),
            Field::Time => Fact::Time(pending.due),
            Field::Topic
            | Field::Class
            | Field::Code
            | Field::Fingerprint
            | Field::Message
            | Field::Offset
            | Field::Attempts
            | Field::Round => Fact::Nothing,
        }
    }
}

/// Lists the timers of each service that match, the next first.
pub(super) async fn list(site: &Site, filter: Option<&Filter>, output: Output) -> Result<Exit, Coded> {
    let now = site.host.clock().now();
    let mut lines = Vec::new();
    for service in &site.names {
        let mut found = Vec::new();
        entries(site.broker(), service, &timers::range(), |shard, entry| {
            let Some(pending) = timers::pending(&entry) else { return Ok(()) };
            let pending = pending.map_err(|error| {
                let message = format!("a timer in shard {shard} of service {service} cannot be read: {error}");
                Coded::new(Code::STATE_UNREADABLE, message)
            })?;
            let timer = &pending.timer;
            let line = Line {
                service: service.to_string(),
                handler: timer.handler.clone(),
                key: std::str::from_utf8(&timer.key).ok().map(str::to_owned),
                name: timer.name.clone(),
                event: timer.event(),
                due: pending.due.to_string(),
                due_in_seconds: (pending.due.as_millis() - now.as_millis()).div_euclid(1_000),
                scheduled: pending.scheduled.to_string(),
                shard,
                id: pending.id.to_string(),
            };
            if filter.is_none_or(|filter| filter.holds(&|field| line.fact(&pending, field))) {
                found.push((pending.due, line));
            }
            Ok(())
        })
        .await?;
        found.sort_by_key(|(due, _)| *due);
        lines.extend(found.into_iter().map(|(_, line)| line));
    }
    let titles = ["service", "handler", "key", "name", "type", "due", "due in"];
    table::list(&lines, output, titles, |line| {
        let Line { service, handler, key, name, event, due, due_in_seconds, .. } = line;
        let key = key.clone().unwrap_or_else(|| "-".to_owned());
        let due_in = format!("{due_in_seconds}s");
        [service.clone(), handler.clone(), key, name.clone(), event.clone(), due.clone(), due_in]
    })
}
