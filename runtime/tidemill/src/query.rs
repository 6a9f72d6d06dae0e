//! Reads what services keep and write: committed state and records, whether the service runs or not.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tidemill_core::code::{Code, Coded};
use tidemill_core::inbox;
use tidemill_core::partitioner::partition_for;
use tidemill_core::ports::{Broker, Entry, KeyRange};
use tidemill_core::reader::Reader;
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::state::{Cell, Scope, ScopeKey, cell_suffix, decode, state_key};

/// Entries that are read at a time; what is held in memory does not grow with all there is.
const PAGE: usize = 1_000;

/// Reads the committed state of one service.
///
/// Each page is read at its own moment: while the service runs, later keys may show newer commits than earlier ones.
#[derive(Clone)]
pub struct Query {
    broker: Arc<dyn Broker>,
    service: Arc<str>,
}

impl Query {
    /// Asks `broker` for the state of `service`.
    pub fn new(broker: Arc<dyn Broker>, service: impl Into<Arc<str>>) -> Self {
        Self { broker, service: service.into() }
    }

    /// Calls `each` with every key of this handler that has the cell, and its value: shard by shard, in key order within
    /// one. Bytes of a key that are not UTF-8 show as `U+FFFD`. A value that cannot be read is an error (TM-0505).
    pub async fn cells<T: DeserializeOwned>(
        &self,
        handler: &str,
        cell: Cell<T>,
        mut each: impl FnMut(&str, T),
    ) -> Result<(), Coded> {
        let of_handler = KeyRange::prefix(Scope::handler(handler).into_bytes());
        let broker = &*self.broker;
        entries(broker, &self.service, &of_handler, |shard, (key, value)| {
            let Some(found) = ScopeKey::parse(&key) else {
                let cause = format!("shard {shard} holds a state key of another form");
                return Err(self.unreadable(handler, cell.name(), &cause));
            };
            if found.entry.is_none() && found.name == cell.name() {
                let value = decode(&value)
                    .map_err(|error| self.unreadable(handler, cell.name(), &format!("shard {shard}: {error}")))?;
                each(&String::from_utf8_lossy(found.key), value);
            }
            Ok(())
        })
        .await
    }

    /// The value of a cell of one key; `None` if it was never set. A value that cannot be read is an error (TM-0505).
    ///
    /// Looks first where the key belongs by the partitioning rule, then at the other shards, for producers that place their
    /// records by a rule of their own.
    pub async fn get<T: DeserializeOwned>(&self, handler: &str, key: &str, cell: Cell<T>) -> Result<Option<T>, Coded> {
        let shards = self.broker.shards(&self.service).await?;
        if shards == 0 {
            return Ok(None);
        }
        let wanted = state_key(handler, key.as_bytes(), &cell_suffix(cell.name()));
        let range = KeyRange { start: Bound::Included(wanted.clone()), end: Bound::Included(wanted) };
        let home = partition_for(key.as_bytes(), shards);
        for shard in std::iter::once(home).chain((0..shards).filter(|shard| *shard != home)) {
            if let Some((_, value)) = self.broker.state(&self.service, shard, &range, 1).await?.first() {
                let value = decode(value);
                return value.map(Some).map_err(|error| self.unreadable(handler, cell.name(), &error.to_string()));
            }
        }
        Ok(None)
    }

    /// How many records of each handler had no effects, because they were copies of events that had theirs. A handler of which there was
    /// none is left out. Copies are counted in the commit in which their record is done, so the numbers are exact across crashes, and
    /// from the beginning or the last `reset` on. A number that cannot be read is an error (TM-0505).
    pub async fn copies_suppressed(&self) -> Result<BTreeMap<String, u64>, Coded> {
        let mut suppressed = BTreeMap::new();
        entries(&*self.broker, &self.service, &inbox::copies_range(), |shard, entry| {
            let (handler, count) = inbox::copies(&entry).map_err(|error| {
                let message = format!(
                    "the number of copies in shard {shard} of service {} cannot be read: {error}",
                    self.service
                );
                Coded::new(Code::STATE_UNREADABLE, message)
            })?;
            *suppressed.entry(handler).or_default() += count;
            Ok(())
        })
        .await?;
        Ok(suppressed)
    }

    fn unreadable(&self, handler: &str, name: &str, cause: &str) -> Coded {
        let message = format!("{name} of handler {handler} of service {} cannot be read: {cause}", self.service);
        Coded::new(Code::STATE_UNREADABLE, message)
    }
}

/// Hands over the committed state of a service that lies in a range of keys: shard by shard, in key order within one.
pub(crate) async fn entries(
    broker: &dyn Broker,
    service: &str,
    range: &KeyRange,
    mut each: impl FnMut(u32, Entry) -> Result<(), Coded>,
) -> Result<(), Coded> {
    for shard in 0..broker.shards(service).await? {
        of_shard(broker, service, shard, range.clone(), |page| {
            page.into_iter().try_for_each(|entry| each(shard, entry))
        })
        .await?;
    }
    Ok(())
}

/// The same of one shard, page by page.
pub(crate) async fn of_shard(
    broker: &dyn Broker,
    service: &str,
    shard: u32,
    mut range: KeyRange,
    mut each: impl FnMut(Vec<Entry>) -> Result<(), Coded>,
) -> Result<(), Coded> {
    loop {
        let page = broker.state(service, shard, &range, PAGE).await?;
        let last = page.last().map(|(key, _)| key.clone()).filter(|_| page.len() == PAGE);
        each(page)?;
        match last {
            Some(last) => range.start = Bound::Excluded(last),
            None => return Ok(()),
        }
    }
}

/// Hands over the committed records of a topic, partition by partition, without joining any group. `from` has the offset to begin at
/// for each partition, 0 where it is shorter, and moves behind what was read. `false` for a topic that does not exist.
pub async fn records(
    broker: &dyn Broker,
    topic: &str,
    from: &mut Vec<u64>,
    mut each: impl FnMut(u32, Record),
) -> Result<bool, Coded> {
    let topics = broker.topics();
    let Some(info) = topics.describe(topic).await? else { return Ok(false) };
    from.resize(info.partitions as usize, 0);
    for (number, from) in (0..).zip(from) {
        let mut reader = Reader::new(Arc::clone(&topics), TopicPartition::new(topic, number), *from);
        loop {
            let records = reader.read().await?;
            *from = reader.next();
            if records.is_empty() {
                break;
            }
            for record in records {
                each(number, record);
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
