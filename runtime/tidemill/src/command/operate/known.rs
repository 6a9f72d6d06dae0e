//! `inbox show`: where the first record of an event stood, and when it had its effects.

use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::inbox::{self, Place};
use tidemill_core::state::runtime_range;

use crate::command::site::Site;
use crate::command::{Output, table};
use crate::query;

#[derive(Serialize)]
struct Line {
    service: String,
    handler: String,
    topic: String,
    partition: u32,
    offset: u64,
    applied_at: String,
}

/// Looks through what is kept of each service for an event of this source and id.
pub(super) async fn show(site: &Site, (source, id): (&str, &str), output: Output) -> Result<Exit, Coded> {
    let mut lines = Vec::new();
    for service in site.names.iter().filter_map(|name| site.service(name)) {
        let wanted = service.known_as(source, id);
        query::entries(site.broker(), service.name(), &runtime_range(), |shard, entry| {
            for (handler, event) in &wanted {
                if let Some(Place { topic, offset, at }) = inbox::applied(&entry, *event) {
                    let (service, handler) = (service.name().to_string(), (*handler).to_owned());
                    lines.push(Line { service, handler, topic, partition: shard, offset, applied_at: at.to_string() });
                }
            }
            Ok(())
        })
        .await?;
    }
    if lines.is_empty() {
        let whose = if source.is_empty() { String::new() } else { format!(" of {source}") };
        let message =
            format!("no event {id}{whose} is known to have had its effects; ids are kept for inbox.retention");
        return Err(Coded::new(Code::NOTHING_MATCHES, message));
    }
    table::list(&lines, output, ["service", "handler", "first record", "applied at"], |line| {
        let Line { service, handler, topic, partition, offset, applied_at } = line;
        let place = format!("{topic}-{partition}@{offset}");
        [service.clone(), handler.clone(), place, applied_at.clone()]
    })
}
