//! What one unit did, and how a member commits and reads it in the shape that it has.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Answer, Change, CommitBatch, Committing, Done, Entry, Generation, KeyRange, ShardCommit, UnitCommit, UnitEffects,
    UnitTransaction,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use crate::conformance::peer::Peer;

/// What one unit did.
pub(super) struct Did {
    pub(super) done: (TopicPartition, u64),
    pub(super) changes: Vec<Change>,
    pub(super) outputs: Outputs,
}

impl Did {
    pub(super) fn record(partition: &TopicPartition, offset: u64) -> Self {
        Self { done: (partition.clone(), offset), changes: Vec::new(), outputs: Outputs::default() }
    }

    pub(super) fn set(mut self, key: &str, value: Option<&str>) -> Self {
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        self.changes.push(Change { key: Bytes::copy_from_slice(key.as_bytes()), value });
        self
    }

    pub(super) fn emit(mut self, outputs: Outputs) -> Self {
        self.outputs = outputs;
        self
    }
}

impl Peer {
    pub(super) fn generation(&self, shard: u32) -> Generation {
        let of_shard = self.held.iter().filter(|(place, _)| place.partition == shard);
        of_shard.map(|(_, generation)| *generation).max().expect("it holds the shard")
    }

    pub(super) async fn load(&self, partition: &TopicPartition) -> Option<Progress> {
        let (shard, generation) = (partition.partition, self.generation(partition.partition));
        let loaded = match &self.commits {
            Committing::Batch(commits) => commits.load(shard, generation, vec![partition.clone()]).await,
            Committing::Unit(commits) => commits.load(shard, generation, vec![partition.clone()]).await,
        };
        loaded.expect("it can be loaded").pop().expect("one answer for one partition")
    }

    /// Commits under a generation that need not be the present one.
    pub(super) async fn commit_as(&mut self, generation: Generation, did: Did) -> Answer {
        let before = self.load_durable(&did.done.0).await;
        self.commit_after(before, generation, did).await
    }

    /// Commits on top of this progress.
    pub(super) async fn commit_after(&self, before: Option<Progress>, generation: Generation, did: Did) -> Answer {
        let (partition, offset) = did.done;
        match &self.commits {
            Committing::Batch(commits) => {
                let mut progress = before.unwrap_or_default();
                progress.take_done(offset);
                let part = ShardCommit {
                    shard: partition.partition,
                    generation,
                    changes: did.changes,
                    progress: vec![(partition, progress)],
                };
                commits.commit(Arc::new(CommitBatch { shards: vec![part], outputs: did.outputs, units: 1 })).await
            }
            Committing::Unit(commits) => {
                let transaction = match commits.begin(partition.partition, generation).await {
                    Ok(transaction) => transaction,
                    Err(cause) => return Answer::Fenced(cause),
                };
                let effects = UnitEffects {
                    done: Some(Done { position: partition.at(offset), since: 0 }),
                    changes: did.changes,
                    once: None,
                    outputs: did.outputs,
                };
                transaction.commit(effects).await
            }
        }
    }

    pub(super) async fn load_durable(&mut self, partition: &TopicPartition) -> Option<Progress> {
        if self.held.contains_key(partition) {
            self.load(partition).await
        } else {
            self.progress.get(partition).cloned()
        }
    }

    pub(super) async fn commit(&mut self, did: Did) -> Answer {
        let generation = self.generation(did.done.0.partition);
        self.commit_as(generation, did).await
    }

    /// Opens a unit's transaction, as every owner does: after the shard was loaded.
    pub(super) async fn begin(&self, commits: &Rc<dyn UnitCommit>, shard: u32) -> Box<dyn UnitTransaction> {
        let partition = self.held.keys().find(|partition| partition.partition == shard);
        self.load(partition.expect("it holds the shard")).await;
        commits.begin(shard, self.generation(shard)).await.expect("it owns the shard")
    }

    /// Where each unit commits by itself, somebody owns a shard from the load on with which every owner begins.
    pub(super) async fn takes_over(&self, partition: &TopicPartition) {
        if matches!(self.commits, Committing::Unit(_)) {
            self.load(partition).await;
        }
    }

    pub(super) async fn get(&self, shard: u32, key: &str) -> Option<String> {
        let value = match &self.commits {
            Committing::Batch(commits) => commits.get(shard, key.as_bytes()),
            Committing::Unit(commits) => self.begin(commits, shard).await.get(key.as_bytes()).await,
        };
        let value = value.expect("a store that works reads");
        value.map(|value| String::from_utf8(value.to_vec()).expect("written as text"))
    }

    pub(super) async fn scan(&self, shard: u32, range: &KeyRange, limit: usize) -> Vec<Entry> {
        let entries = match &self.commits {
            Committing::Batch(commits) => commits.scan(shard, range, limit),
            Committing::Unit(commits) => self.begin(commits, shard).await.scan(range, limit).await,
        };
        entries.expect("a store that works scans")
    }
}
