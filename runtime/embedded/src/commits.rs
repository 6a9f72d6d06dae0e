//! A member's commits, and reading what is committed.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tidemill_core::code::Coded;
use tidemill_core::ports::{Answer, BatchCommit, Change, CommitBatch, Entry, Generation, KeyRange};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::state::own;

use crate::broker::Shared;
use crate::layout;
use crate::topics::damaged;

/// The commits of one member.
pub(crate) struct Commits {
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Arc<str>,
    pub(crate) member: Arc<str>,
}

impl BatchCommit for Commits {
    fn load(
        &self,
        _shard: u32,
        _generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> LocalBoxFuture<'static, Result<Vec<Option<Progress>>, Coded>> {
        let (shared, group) = (Arc::clone(&self.shared), Arc::clone(&self.group));
        let loaded = self.shared.away(move || {
            // A former owner's commit that began before the partitions moved has to end first.
            shared.ledger.settle();
            partitions.iter().map(|partition| shared.progress(&group, partition)).collect()
        });
        Box::pin(async move { loaded.await? })
    }

    fn get(&self, shard: u32, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.shared.ledger.store.get(&layout::state(&self.group, shard, key))
    }

    fn scan(&self, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        self.shared.states(&self.group, shard, range, limit)
    }

    fn commit(&self, batch: Arc<CommitBatch>) -> LocalBoxFuture<'static, Answer> {
        let (shared, group, member) = (Arc::clone(&self.shared), Arc::clone(&self.group), Arc::clone(&self.member));
        let answer = self.shared.away(move || shared.commit(&group, &member, &batch));
        Box::pin(async move { answer.await.unwrap_or_else(Answer::Unknown) })
    }
}

impl Shared {
    fn commit(&self, group: &str, member: &str, batch: &CommitBatch) -> Answer {
        let appends = match self.ledger.pack(&batch.outputs) {
            Ok(appends) => appends,
            Err(cause) => return Answer::NotCommitted(cause),
        };
        let mut changes = Vec::with_capacity(batch.shards.iter().map(|part| part.changes.len() + 2).sum());
        for part in &batch.shards {
            for (partition, progress) in &part.progress {
                let mut value = Vec::new();
                progress.encode(&mut value);
                changes.push(Change { key: layout::progress(group, partition), value: Some(value.into()) });
            }
            let prefix = layout::state_prefix(group, part.shard);
            let change = |change: &Change| Change {
                key: layout::state_under(&prefix, &change.key),
                value: change.value.as_ref().map(own),
            };
            changes.extend(part.changes.iter().map(change));
        }
        self.ledger.write(appends, changes, || {
            for part in &batch.shards {
                for partition in part.fenced_by()? {
                    self.groups.check(group, member, part.generation, partition)?;
                }
            }
            Ok(())
        })
    }

    /// The durable progress of a group in a partition.
    pub(crate) fn progress(&self, group: &str, partition: &TopicPartition) -> Result<Option<Progress>, Coded> {
        let Some(value) = self.ledger.store.get(&layout::progress(group, partition))? else { return Ok(None) };
        let progress = Progress::decode(&value);
        progress
            .map(Some)
            .ok_or_else(|| damaged(format!("the progress of group {group} in {partition} cannot be read")))
    }

    /// Committed state entries of one shard, by their state keys.
    pub(crate) fn states(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        let entries = self.ledger.store.scan(&layout::states(group, shard, range), limit)?;
        let skip = layout::state(group, shard, &[]).len();
        Ok(entries.into_iter().map(|(key, value)| (key.slice(skip..), value)).collect())
    }
}
