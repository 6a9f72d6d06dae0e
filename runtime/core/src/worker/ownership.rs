//! Which shards are this worker's: they come, are loaded, run, are drained and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;

use crate::code::{Code, Coded};
use crate::ports::{Answer, Committing, Generation, LogEvent, Start};
use crate::progress::Progress;
use crate::record::TopicPartition;
use crate::service::Service;
use crate::shard::Shard;
use crate::time::Timestamp;
use crate::worker::Worker;

/// The part of a drain that handlers may use; the rest is for the last commit.
const DRAIN_SHARE: (u32, u32) = (3, 4);

type LoadAnswer = Result<Vec<Option<Progress>>, Coded>;

/// A shard whose durable progress is being read.
struct Loading {
    generation: Generation,
    partitions: Vec<TopicPartition>,
    answer: LocalBoxFuture<'static, LoadAnswer>,
}

/// A shard that goes to somebody else.
struct Leaving {
    partitions: Vec<TopicPartition>,
    /// Handlers under way are interrupted then.
    deadline: Timestamp,
}

/// What this worker owns, and what is on its way in or out.
pub(super) struct Ownership {
    topics: Vec<Arc<str>>,
    held: BTreeMap<TopicPartition, Generation>,
    loading: BTreeMap<u32, Loading>,
    leaving: BTreeMap<u32, Leaving>,
    /// Shards have to be read again as soon as no commit is under way.
    again: bool,
}

impl Ownership {
    pub(super) fn new(service: &Service) -> Self {
        Self {
            topics: service.input_topics().cloned().collect(),
            held: BTreeMap::new(),
            loading: BTreeMap::new(),
            leaving: BTreeMap::new(),
            again: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn is_leaving(&self, shard: u32) -> bool {
        self.leaving.contains_key(&shard)
    }

    /// When a drain is over.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.leaving.values().map(|leaving| leaving.deadline).min()
    }

    pub(super) fn read_again(&mut self) {
        self.again = true;
        self.loading.clear();
    }

    /// The partitions of a shard, and the newest generation among them, if all of them are held.
    fn whole(&self, shard: u32) -> Result<(Vec<TopicPartition>, Generation), Vec<TopicPartition>> {
        let wanted = self.topics.iter().map(|topic| TopicPartition::new(Arc::clone(topic), shard));
        let (held, missing): (Vec<_>, Vec<_>) = wanted.partition(|partition| self.held.contains_key(partition));
        if !missing.is_empty() {
            return Err(missing);
        }
        let generation = held.iter().map(|partition| self.held[partition]).max().unwrap_or_default();
        Ok((held, generation))
    }
}

impl Worker {
    /// Takes note of a change of ownership.
    pub(super) fn on_event(&mut self, event: LogEvent) {
        match event {
            LogEvent::Assigned { partitions, generation } => {
                let mut shards: Vec<u32> = partitions.iter().map(|partition| partition.partition).collect();
                self.ownership.held.extend(partitions.into_iter().map(|partition| (partition, generation)));
                shards.sort_unstable();
                shards.dedup();
                shards.into_iter().for_each(|shard| self.load(shard));
            }
            LogEvent::Revoked { partitions, drain } => {
                let deadline = self.env.clock.now() + drain * DRAIN_SHARE.0 / DRAIN_SHARE.1;
                for partition in partitions {
                    let shard = partition.partition;
                    self.ownership.loading.remove(&shard);
                    let leaving = self.ownership.leaving.entry(shard);
                    leaving.or_insert_with(|| Leaving { partitions: Vec::new(), deadline }).partitions.push(partition);
                    if let Some(shard) = self.shards.get_mut(&shard) {
                        self.left.interrupted += shard.forget_unstarted();
                    }
                }
            }
            LogEvent::Lost { partitions } => self.lose(&partitions),
        }
    }

    /// Nothing of a lost shard may be committed. What other shards did since the last commit is in the same batch as what
    /// the lost ones did, so all begin again from what is durable.
    fn lose(&mut self, partitions: &[TopicPartition]) {
        let mut ran = false;
        for partition in partitions {
            self.ownership.held.remove(partition);
            self.ownership.loading.remove(&partition.partition);
            self.ownership.leaving.remove(&partition.partition);
            ran |= self.shards.contains_key(&partition.partition);
        }
        if ran {
            let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            let message = format!("{} went to another instance without a drain", names.join(", "));
            self.restart(&Answer::Fenced(Coded::new(Code::FENCED, message)));
        }
    }

    /// Begins to read what is durable of a shard, if all its partitions are here. A partial shard waits.
    fn load(&mut self, shard: u32) {
        let (partitions, generation) = match self.ownership.whole(shard) {
            Ok(whole) => whole,
            Err(missing) => return self.env.observer.shard_waits(shard, &missing),
        };
        if self.shards.contains_key(&shard) || self.ownership.is_leaving(shard) {
            return;
        }
        let wanted = partitions.clone();
        let answer: LocalBoxFuture<'static, LoadAnswer> = match &self.env.commits {
            Committing::Batch(commits) => commits.load(shard, generation, wanted),
            Committing::Unit(commits) => {
                let commits = std::rc::Rc::clone(commits);
                Box::pin(async move { commits.load(shard, generation, wanted).await })
            }
        };
        self.ownership.loading.insert(shard, Loading { generation, partitions, answer });
    }

    /// Starts shards that are loaded, lets drained ones go. Tells whether anything happened.
    pub(super) fn poll_ownership(&mut self, cx: &mut Context<'_>) -> Result<bool, Coded> {
        let mut moved = false;
        if self.ownership.again && self.committer.is_idle() {
            self.ownership.again = false;
            let mut shards: Vec<u32> = self.ownership.held.keys().map(|partition| partition.partition).collect();
            shards.sort_unstable();
            shards.dedup();
            shards.into_iter().for_each(|shard| self.load(shard));
            moved = true;
        }
        let mut loaded = Vec::new();
        for (shard, loading) in &mut self.ownership.loading {
            if let Poll::Ready(answer) = loading.answer.as_mut().poll(cx) {
                loaded.push((*shard, answer?));
            }
        }
        for (shard, progress) in loaded {
            self.start_shard(shard, progress)?;
            moved = true;
        }
        let leaving: Vec<u32> = self.ownership.leaving.keys().copied().collect();
        for shard in leaving {
            moved |= self.let_go(shard);
        }
        Ok(moved)
    }

    fn start_shard(&mut self, shard: u32, progress: Vec<Option<Progress>>) -> Result<(), Coded> {
        let Some(loading) = self.ownership.loading.remove(&shard) else { return Ok(()) };
        let mut sources = Vec::new();
        for (partition, progress) in loading.partitions.into_iter().zip(progress) {
            let from = progress.as_ref().map_or(Start::Earliest, |progress| Start::Offset(progress.resume_at()));
            self.log.start(&partition, from)?;
            sources.push((partition, progress.unwrap_or_default()));
        }
        self.shards.insert(shard, Shard::new(std::rc::Rc::clone(&self.env), shard, loading.generation, sources));
        self.env.observer.shard_started(shard);
        Ok(())
    }

    /// Whether a shard waits only for its last commit before it can go.
    pub(super) fn wants_commit(&self, now: Timestamp) -> bool {
        self.ownership.leaving.iter().any(|(shard, leaving)| {
            self.shards.get(shard).is_some_and(|shard| shard.in_flight() == 0) || leaving.deadline <= now
        })
    }

    /// Gives a leaving shard up, once its handlers ended or were interrupted and everything they did is committed.
    fn let_go(&mut self, number: u32) -> bool {
        let now = self.env.clock.now();
        let leaving = &self.ownership.leaving[&number];
        if let Some(shard) = self.shards.get_mut(&number) {
            if shard.in_flight() > 0 && now < leaving.deadline {
                return false;
            }
            let interrupted = shard.interrupt();
            self.left.interrupted += interrupted;
            if shard.is_dirty() || !self.committer.is_idle() {
                return interrupted > 0;
            }
            self.env.observer.shard_ended(number, interrupted);
            self.shards.remove(&number);
        } else if !self.committer.is_idle() {
            return false;
        }
        let leaving = self.ownership.leaving.remove(&number).expect("looked up above");
        for partition in &leaving.partitions {
            self.ownership.held.remove(partition);
        }
        self.log.release(&leaving.partitions);
        true
    }
}
