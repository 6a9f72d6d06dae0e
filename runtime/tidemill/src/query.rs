//! Reads what services keep: committed state, whether the service runs or not.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tidemill_core::code::{Code, Coded};
use tidemill_core::partitioner::partition_for;
use tidemill_core::ports::{Broker, KeyRange};
use tidemill_core::state::{Cell, Scope, ScopeKey, cell_suffix, decode, state_key};

/// Entries that are read at a time; what a query holds in memory does not grow with the state.
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
        for shard in 0..self.broker.shards(&self.service).await? {
            let mut range = of_handler.clone();
            loop {
                let page = self.broker.state(&self.service, shard, &range, PAGE).await?;
                for (key, value) in &page {
                    let Some(found) = ScopeKey::parse(key) else {
                        let cause = format!("shard {shard} holds a state key of another form");
                        return Err(self.unreadable(handler, cell.name(), &cause));
                    };
                    if found.entry.is_none() && found.name == cell.name() {
                        let value = decode(value).map_err(|error| {
                            self.unreadable(handler, cell.name(), &format!("shard {shard}: {error}"))
                        })?;
                        each(&String::from_utf8_lossy(found.key), value);
                    }
                }
                match page.last() {
                    Some((last, _)) if page.len() == PAGE => range.start = std::ops::Bound::Excluded(last.clone()),
                    _ => break,
                }
            }
        }
        Ok(())
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
        let range =
            KeyRange { start: std::ops::Bound::Included(wanted.clone()), end: std::ops::Bound::Included(wanted) };
        let home = partition_for(key.as_bytes(), shards);
        for shard in std::iter::once(home).chain((0..shards).filter(|shard| *shard != home)) {
            if let Some((_, value)) = self.broker.state(&self.service, shard, &range, 1).await?.first() {
                let value = decode(value);
                return value.map(Some).map_err(|error| self.unreadable(handler, cell.name(), &error.to_string()));
            }
        }
        Ok(None)
    }

    fn unreadable(&self, handler: &str, name: &str, cause: &str) -> Coded {
        let message = format!("{name} of handler {handler} of service {} cannot be read: {cause}", self.service);
        Coded::new(Code::STATE_UNREADABLE, message)
    }
}

#[cfg(test)]
mod tests;
