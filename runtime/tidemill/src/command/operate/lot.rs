//! Reads parked records from the state of their service.

use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::parking::{self, Parked, Waits};
use tidemill_core::record::Record;
use tidemill_core::state::runtime_range;
use tidemill_core::time::Timestamp;

use crate::command::filter::{Fact, Field, Filter};
use crate::command::site::Site;
use crate::query::entries;

/// A parked record.
pub(super) struct Entry {
    pub(super) service: Arc<str>,
    pub(super) shard: u32,
    /// A later one was parked later.
    pub(super) number: u64,
    /// Where it came from, which names it.
    pub(super) id: String,
    pub(super) parked: Parked,
    /// It, as it came.
    pub(super) record: Record,
}

impl Entry {
    /// What it waits for, in a word.
    pub(super) fn waits(&self) -> &'static str {
        match self.parked.waits {
            Waits::Behind => "behind",
            Waits::Until(_) => "time",
            Waits::Held { .. } => "operator",
        }
    }

    pub(super) fn event(&self) -> Option<&str> {
        self.record.headers.text(tidemill_core::headers::TYPE)
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok())
    }

    fn fact(&self, field: Field) -> Fact<'_> {
        let past = self.parked.past.as_ref();
        let cause = |of: fn(&tidemill_core::failure::Cause) -> &str| {
            past.map_or(Fact::Nothing, |past| Fact::Text(of(&past.cause)))
        };
        match field {
            Field::Id => Fact::Text(&self.id),
            Field::Service => Fact::Text(&self.service),
            Field::Handler => Fact::Text(&self.parked.handler),
            Field::Type => self.event().map_or(Fact::Nothing, Fact::Text),
            Field::Key => self.key().map_or(Fact::Nothing, Fact::Text),
            // The id is `topic-partition@offset`.
            Field::Topic => self.id.rsplit_once('-').map_or(Fact::Nothing, |(topic, _)| Fact::Text(topic)),
            Field::Class => cause(|cause| &cause.class),
            Field::Code => cause(|cause| &cause.code),
            Field::Fingerprint => cause(|cause| &cause.fingerprint),
            Field::Message => cause(|cause| &cause.message),
            Field::State => Fact::Text(self.waits()),
            Field::Partition => Fact::Number(self.parked.position().source.partition.into()),
            Field::Offset => Fact::Number(self.record.offset),
            Field::Attempts => Fact::Number(past.map_or(0, |past| past.attempts.into())),
            Field::Round => Fact::Nothing,
            Field::Time => Fact::Time(Timestamp::from_millis(self.parked.since)),
        }
    }
}

/// The parked records that are meant, service by service, in the order in which they were parked; those of these ids, where there are any.
pub(super) async fn read(site: &Site, filter: Option<&Filter>, ids: &[String]) -> Result<Vec<Entry>, Coded> {
    let mut all = Vec::new();
    for service in &site.names {
        let mut found = Vec::new();
        entries(site.broker(), service, &runtime_range(), |shard, entry| {
            let Some((_, number, parked)) = parking::parked(&entry) else { return Ok(()) };
            let (service, id, record) = (Arc::clone(service), parked.position().to_string(), parked.record());
            let entry = Entry { service, shard, number, id, parked, record };
            if (ids.is_empty() || ids.contains(&entry.id))
                && filter.is_none_or(|filter| filter.holds(&|field| entry.fact(field)))
            {
                found.push(entry);
            }
            Ok(())
        })
        .await?;
        found.sort_by_key(|entry| (entry.shard, entry.number));
        all.append(&mut found);
    }
    Ok(all)
}

/// The same where something has to be meant: nothing that matches is an error (TM-0409), and so is an id without its record.
pub(super) async fn need(site: &Site, filter: Option<&Filter>, ids: &[String]) -> Result<Vec<Entry>, Coded> {
    let found = read(site, filter, ids).await?;
    let nothing = |message: String| Err(Coded::new(Code::NOTHING_MATCHES, message));
    match ids.iter().find(|id| !found.iter().any(|entry| entry.id == **id)) {
        Some(id) => nothing(format!("there is no parked record {id} that matches")),
        None if found.is_empty() => nothing("there is no parked record that matches".to_owned()),
        None => Ok(found),
    }
}
