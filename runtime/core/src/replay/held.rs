//! The state of a replay's shards.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::code::{Code, Coded};
use crate::ports::{Answer, BatchCommit, Change, CommitBatch, Durability, Entry, Generation, KeyRange, Store};
use crate::progress::Progress;
use crate::record::TopicPartition;
use crate::state::{RUNTIME_NAME, Scope, TIMERS_NAME, own_key};
use crate::timers::{self, When};

/// A store for each shard.
#[derive(Default)]
pub(super) struct Held {
    pub(super) stores: RefCell<BTreeMap<u32, Arc<dyn Store>>>,
}

impl Held {
    fn of(&self, shard: u32) -> Result<Arc<dyn Store>, Coded> {
        let known = self.stores.borrow().get(&shard).cloned();
        known.ok_or_else(|| Coded::new(Code::BACKEND_FAILED, format!("nothing is held of shard {shard}")))
    }

    /// What the unit of a handler and key can see: their state, their timers, and what is parked in its lane.
    pub(super) fn of_unit(
        &self,
        shard: u32,
        handler: Option<(&str, &[u8])>,
        lane: Option<&[u8]>,
    ) -> Result<Vec<Entry>, Coded> {
        let store = self.of(shard)?;
        let all = |scope: Scope| store.scan(&KeyRange::prefix(scope.into_bytes()), usize::MAX);
        let mut entries = lane.map_or_else(|| Ok(Vec::new()), |lane| all(Scope::key(RUNTIME_NAME, lane)))?;
        let Some((handler, key)) = handler else { return Ok(entries) };
        entries.extend(all(Scope::key(handler, key))?);
        for named in all(Scope::key(TIMERS_NAME, &timers::owner(handler, key).key))? {
            if let Some(when) = When::from_value(&named.1) {
                let due = own_key(&timers::all(), &when.suffix());
                entries.extend(store.get(&due)?.map(|timer| (due, timer)));
            }
            entries.push(named);
        }
        Ok(entries)
    }

    pub(super) fn apply(&self, shard: u32, changes: Vec<Change>) -> Result<(), Coded> {
        if changes.is_empty() { Ok(()) } else { self.of(shard)?.apply(changes, Durability::Buffered) }
    }
}

impl BatchCommit for Held {
    fn load(
        &self,
        _shard: u32,
        _generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> LocalBoxFuture<'static, Result<Vec<Option<Progress>>, Coded>> {
        Box::pin(async move { Ok(vec![None; partitions.len()]) })
    }

    fn get(&self, shard: u32, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.of(shard)?.get(key)
    }

    fn scan(&self, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        self.of(shard)?.scan(range, limit)
    }

    fn commit(&self, _batch: Arc<CommitBatch>) -> LocalBoxFuture<'static, Answer> {
        unreachable!("a replay commits nothing")
    }
}
