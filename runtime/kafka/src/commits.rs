//! Commits of one member, and what is committed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::BaseConsumer;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Answer, BatchCommit, Change, CommitBatch, Entry, Generation, KeyRange, ShardCommit};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use crate::broker::{Shared, lock};
use crate::changelog;
use crate::client::Plain;
use crate::context::Seat;
use crate::names;
use crate::offsets;
use crate::ownership::{Ownership, fenced};
use crate::restore::Restore;
use crate::states::States;
use crate::transaction::{Changed, Content, Transactions};

/// How long a commit waits for the cluster before it looks whether it is still wanted.
const PAUSE: Duration = Duration::from_millis(200);

/// What the threads that commit and load share.
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Arc<str>,
    pub(crate) ownership: Arc<Ownership>,
    pub(crate) states: Arc<States>,
    pub(crate) transactions: Mutex<Transactions>,
    /// The client that is the member; gone when the member is.
    pub(crate) member: Weak<BaseConsumer<Seat>>,
    /// The client that reads.
    pub(crate) reader: Arc<Plain>,
}

/// Commits of one member.
pub(crate) struct Commits(pub(crate) Arc<Desk>);

impl BatchCommit for Commits {
    fn load(
        &self,
        shard: u32,
        generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> LocalBoxFuture<'static, Result<Vec<Option<Progress>>, Coded>> {
        let desk = Arc::clone(&self.0);
        let load =
            self.0.shared.away(move || Restore { desk: &desk, shard, generation, partitions: &partitions }.run());
        Box::pin(async move { load.await? })
    }

    fn get(&self, shard: u32, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.0.states.get(shard, key)
    }

    fn scan(&self, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        self.0.states.scan(shard, range, limit)
    }

    fn commit(&self, batch: Arc<CommitBatch>) -> LocalBoxFuture<'static, Answer> {
        let desk = Arc::clone(&self.0);
        let commit = self.0.shared.away(move || desk.commit(&batch));
        Box::pin(async move { commit.await.unwrap_or_else(Answer::Unknown) })
    }
}

impl Desk {
    /// Commits a batch on the thread of the caller. While the cluster does not answer, it is tried again for as long as the
    /// member owns what the batch is of.
    fn commit(&self, batch: &CommitBatch) -> Answer {
        let written = match self.written(batch) {
            Ok(written) => written,
            Err(cause) => return Answer::Fenced(cause),
        };
        let mut transactions = lock(&self.transactions);
        self.keep_marks(batch);
        let changelog = names::changelog(&self.group);
        loop {
            let fence = match self.check(batch) {
                Ok(fence) => fence,
                Err(cause) => return Answer::Fenced(cause),
            };
            let content = Content {
                outputs: &batch.outputs,
                changes: Some((&changelog, &written.changes)),
                offsets: Some((&written.offsets, &fence)),
                now: self.shared.clock.now(),
            };
            let answer = transactions.run(&content);
            if let Answer::NotCommitted(cause) | Answer::Unknown(cause) = &answer
                && matches!(cause.code, Code::BROKER_UNREACHABLE | Code::TOPIC_MISSING)
                && let Some(missing) = self.missing(batch, &changelog)
            {
                // The client waits for such a topic as for a broker that is away. The shards are read again, and cannot be.
                transactions.break_off(missing.clone());
                return Answer::Unknown(missing);
            }
            match answer {
                Answer::Committed => break,
                Answer::NotCommitted(cause) if cause.code == Code::BROKER_UNREACHABLE => {
                    self.shared.clients.reach.lost(&cause.message);
                    std::thread::park_timeout(PAUSE);
                }
                answer => return answer,
            }
        }
        for (part, (shard, changes)) in batch.shards.iter().zip(written.changes) {
            if let Err(cause) = self.states.committed(shard, part.generation, changes) {
                // It is durable, and the cache does not have it: what is durable has to be read again.
                return Answer::Unknown(cause);
            }
        }
        Answer::Committed
    }

    /// Whether everything the batch touches is the member's, and by what the broker checks that.
    fn check(&self, batch: &CommitBatch) -> Result<Arc<rdkafka::consumer::ConsumerGroupMetadata>, Coded> {
        let mut fence = None;
        for part in &batch.shards {
            fence = Some(self.ownership.check(part.generation, part.fenced_by()?)?);
        }
        fence.ok_or_else(|| fenced("a commit of no shard has no owner".to_owned()))
    }

    /// The error that a topic which a batch goes to does not exist any more.
    fn missing(&self, batch: &CommitBatch, changelog: &str) -> Option<Coded> {
        let topics: BTreeSet<&str> = batch.outputs.iter().map(|output| &**output.topic).chain([changelog]).collect();
        topics.into_iter().find_map(|topic| self.shared.vanished(topic))
    }

    /// Everything of a batch beside its outputs, as it is written.
    fn written(&self, batch: &CommitBatch) -> Result<Written, Coded> {
        let mut written = Written { offsets: TopicPartitionList::new(), changes: Vec::new() };
        for part in &batch.shards {
            drop(part.fenced_by()?);
            for (partition, progress) in &part.progress {
                offsets::add(&mut written.offsets, partition, progress);
            }
            written.changes.push((part.shard, self.changes(part)));
        }
        Ok(written)
    }

    fn changes(&self, part: &ShardCommit) -> Vec<Change> {
        let state = part
            .changes
            .iter()
            .map(|change| Change { key: changelog::state_key(&change.key), value: change.value.clone() });
        let progress = part.progress.iter().map(|(partition, progress)| Change {
            key: changelog::progress_key(&partition.topic),
            value: Some(changelog::progress_value(&self.shared.known_id(&partition.topic), progress)),
        });
        state.chain(progress).collect()
    }

    /// Moves the marks of the shards' caches from time to time. At this moment none of their commits is under way, so
    /// everything before the changelog's end is in the cache.
    fn keep_marks(&self, batch: &CommitBatch) {
        for part in &batch.shards {
            if !self.states.mark_is_due(part.shard, self.shared.clock.now()) {
                continue;
            }
            let changelog = TopicPartition::new(names::changelog(&self.group), part.shard);
            let kept = self.shared.mark(&changelog).and_then(|mark| self.states.set_mark(part.shard, &mark));
            if let Err(cause) = kept {
                tracing::debug!(shard = part.shard, %cause, "the cache keeps its older mark");
            }
        }
    }
}

/// What a commit writes beside its outputs.
struct Written {
    offsets: TopicPartitionList,
    /// The records of the changelog, by shard.
    changes: Vec<Changed>,
}
