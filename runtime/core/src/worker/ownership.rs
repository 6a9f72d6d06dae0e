//! Which shards are this worker's: they come, are loaded, run, are drained and go.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::books::{self, Books, Found};
use crate::code::{Code, Coded};
use crate::guard::{Attempt, Guard, Mark};
use crate::planted::{Bug, is_planted};
use crate::ports::{Answer, Committing, Generation, LogEvent, Start};
use crate::progress::Progress;
use crate::record::{Position, TopicPartition};
use crate::service::Service;
use crate::shard::{Shard, Start as Starts};
use crate::worker::{Condemned, Env, Worker};

/// The part of a drain that handlers may use; the rest is for the last commit.
const DRAIN_SHARE: (u32, u32) = (3, 4);

/// What is known of a shard before it starts.
struct Loaded {
    progress: Vec<Option<Progress>>,
    books: Books,
    guard: Guard,
    /// Whether the group begins somewhere in it, which is not durable yet.
    begins: bool,
}

type LoadAnswer = Result<Loaded, Coded>;

/// A shard whose durable progress is being read.
struct Loading {
    generation: Generation,
    partitions: Vec<TopicPartition>,
    answer: LocalBoxFuture<'static, LoadAnswer>,
}

/// A shard that goes to somebody else.
struct Leaving {
    partitions: Vec<TopicPartition>,
    /// Completes when handlers under way have to be interrupted.
    patience: BoxFuture<'static, ()>,
    is_over: bool,
    /// Units that waited in lanes, or were under way at the end.
    interrupted: usize,
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

    pub(super) fn read_again(&mut self) {
        self.again = true;
        self.loading.clear();
    }

    /// Whether all shards were given up, to be read again.
    pub(super) fn reads_again(&self) -> bool {
        self.again
    }

    /// The shards of which this worker holds a partition.
    fn shards(&self) -> BTreeSet<u32> {
        self.held.keys().map(|partition| partition.partition).collect()
    }

    /// How many partitions this worker holds.
    pub(super) fn partitions(&self) -> usize {
        self.held.len()
    }

    /// The partitions of a shard, and the newest generation among them, if all of them are held.
    fn whole(&self, shard: u32) -> Result<(Vec<TopicPartition>, Generation), Vec<TopicPartition>> {
        let wanted = self.topics.iter().map(|topic| TopicPartition::new(Arc::clone(topic), shard));
        let (held, missing): (Vec<_>, Vec<_>) = wanted.partition(|partition| self.held.contains_key(partition));
        if !missing.is_empty() && (held.is_empty() || !is_planted(Bug::PartialShardRuns)) {
            return Err(missing);
        }
        let generation = held.iter().map(|partition| self.held[partition]).max().unwrap_or_default();
        Ok((held, generation))
    }
}

type Begun = Result<(Vec<Option<Progress>>, bool), Coded>;

/// Chooses where a group begins in partitions of which it has done nothing. The oldest record needs no choice: whoever comes
/// next finds the same.
async fn begin(env: &Env, partitions: &[TopicPartition], mut progress: Vec<Option<Progress>>) -> Begun {
    let mut begins = false;
    for (partition, known) in partitions.iter().zip(&mut progress).filter(|(_, known)| known.is_none()) {
        let from = match env.service.start {
            Start::Earliest => continue,
            Start::Offset(offset) => Some(offset),
            Start::Latest => None,
            Start::Time(at) => env.topics.offset_at(partition, at).await?,
        };
        let from = match from {
            Some(from) => from,
            None => env.topics.offsets(partition).await?.1,
        };
        *known = Some(Progress::starting_at(from));
        begins = true;
    }
    Ok((progress, begins))
}

/// The guard of a shard. A record that ended the process is given up.
async fn guard(
    env: &Env,
    mark: Option<Mark>,
    origins: &BTreeMap<u64, Position>,
    partitions: &[TopicPartition],
    progress: &[Option<Progress>],
) -> Result<Guard, Coded> {
    if !env.service.limits.crash_guard {
        return Ok(Guard::off());
    }
    let (mut guard, culprits) = Guard::new(&env.run, mark);
    let position = |culprit| match culprit {
        Attempt::Record { topic, partition, offset } => Some(TopicPartition::new(topic, partition).at(offset)),
        Attempt::Parked(number) => origins.get(&number).cloned(),
    };
    let culprits = culprits.into_iter().filter_map(position);
    env.condemned.borrow_mut().extend(culprits.map(|position| (position, Condemned::Crashed)));
    if guard.suspects() {
        let mut there = Vec::new();
        for partition in partitions {
            there.push((partition.clone(), env.topics.offsets(partition).await?.1));
        }
        guard.suspect(there, progress.iter().flatten().map(Progress::undone).sum());
    }
    Ok(guard)
}

impl Worker {
    /// Takes note of a change of ownership.
    pub(super) fn on_event(&mut self, event: LogEvent) {
        match event {
            LogEvent::Assigned { partitions, generation } => {
                let shards: BTreeSet<u32> = partitions.iter().map(|partition| partition.partition).collect();
                self.ownership.held.extend(partitions.into_iter().map(|partition| (partition, generation)));
                for shard in shards {
                    self.load(shard);
                }
                self.end_if_grown();
            }
            LogEvent::Revoked { partitions, drain } => {
                for partition in partitions {
                    self.revoke(partition, drain * DRAIN_SHARE.0 / DRAIN_SHARE.1);
                }
            }
            LogEvent::Lost { partitions } => self.lose(&partitions),
            LogEvent::Paused => self.pause(true),
            LogEvent::Resumed => self.pause(false),
        }
    }

    /// A topic that got more partitions has a shard that the others do not have: it would wait for ever.
    fn end_if_grown(&mut self) {
        let (shards, service) = (self.env.shards, &self.env.service.name);
        if let Some(grown) = self.ownership.held.keys().find(|partition| partition.partition >= shards) {
            let message = format!(
                "{} has partition {}, and service {service} began with {shards} partitions of each input; more partitions of a \
                 topic move keys away from their state",
                grown.topic, grown.partition
            );
            self.end(Err(Coded::new(Code::NOT_CO_PARTITIONED, message)));
        }
    }

    /// Begins nothing new until told otherwise, here and in shards that come.
    fn pause(&mut self, paused: bool) {
        self.paused = paused;
        self.shards.values_mut().for_each(|shard| shard.pause(paused));
        self.env.observer.paused(paused);
    }

    /// Begins to drain the shard of a partition that goes to somebody else.
    fn revoke(&mut self, partition: TopicPartition, patience: Duration) {
        if is_planted(Bug::RevokeForgotten) {
            return self.log.release(&[partition]);
        }
        let number = partition.partition;
        self.ownership.loading.remove(&number);
        let waiting = self.shards.get_mut(&number).map_or(0, Shard::forget_unstarted);
        let leaving = self.ownership.leaving.entry(number).or_insert_with(|| Leaving {
            partitions: Vec::new(),
            patience: self.env.clock.sleep(patience),
            is_over: false,
            interrupted: 0,
        });
        leaving.partitions.push(partition);
        leaving.interrupted += waiting;
        self.left_interrupted(waiting);
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
        if ran && !is_planted(Bug::LateCompletion) {
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
        // While all are to be read again, a commit may be under way whose answer has to come first.
        if self.shards.contains_key(&shard) || self.ownership.is_leaving(shard) || self.ownership.again {
            return;
        }
        self.env.observer.shard_loading(shard);
        let (env, wanted) = (Rc::clone(&self.env), partitions.clone());
        let answer: LocalBoxFuture<'static, LoadAnswer> = Box::pin(async move {
            let progress = match &env.commits {
                Committing::Batch(commits) => commits.load(shard, generation, wanted.clone()).await?,
                Committing::Unit(commits) => commits.load(shard, generation, wanted.clone()).await?,
            };
            let (progress, begins) = begin(&env, &wanted, progress).await?;
            let Found { books, mark, origins } = books::read(&env, shard, generation).await?;
            let guard = guard(&env, mark, &origins, &wanted, &progress).await?;
            Ok(Loaded { progress, books, guard, begins })
        });
        self.ownership.loading.insert(shard, Loading { generation, partitions, answer });
    }

    /// Starts shards that are loaded, lets drained ones go. Tells whether anything happened.
    pub(super) fn poll_ownership(&mut self, cx: &mut Context<'_>) -> Result<bool, Coded> {
        let mut moved = false;
        if self.ownership.again && self.committer.is_idle() {
            self.ownership.again = false;
            for shard in self.ownership.shards() {
                self.load(shard);
            }
            moved = true;
        }
        let mut loaded = Vec::new();
        for (shard, loading) in &mut self.ownership.loading {
            if let Poll::Ready(answer) = loading.answer.as_mut().poll(cx) {
                loaded.push((*shard, answer));
            }
        }
        for (shard, answer) in loaded {
            moved = true;
            match answer {
                Ok(loaded) => self.start_shard(shard, loaded)?,
                // The ownership ended while it was read; the log will say so.
                Err(cause) if cause.code == Code::FENCED => drop(self.ownership.loading.remove(&shard)),
                // Read again: the adapter waits until the database answers.
                Err(cause) if cause.code == Code::DATABASE_UNREACHABLE => {
                    self.ownership.loading.remove(&shard);
                    self.load(shard);
                }
                Err(cause) => return Err(cause),
            }
        }
        for leaving in self.ownership.leaving.values_mut().filter(|leaving| !leaving.is_over) {
            leaving.is_over = leaving.patience.as_mut().poll(cx).is_ready();
        }
        let leaving: Vec<u32> = self.ownership.leaving.keys().copied().collect();
        for shard in leaving {
            moved |= self.let_go(shard);
        }
        Ok(moved)
    }

    fn start_shard(&mut self, shard: u32, loaded: Loaded) -> Result<(), Coded> {
        let Some(loading) = self.ownership.loading.remove(&shard) else { return Ok(()) };
        let mut sources = Vec::new();
        for (partition, progress) in loading.partitions.into_iter().zip(loaded.progress) {
            let from = progress.as_ref().map_or(Start::Earliest, |progress| Start::Offset(progress.resume_at()));
            self.log.start(&partition, from)?;
            sources.push((partition, progress));
        }
        let start = Starts { sources, books: loaded.books, begins: loaded.begins, guard: loaded.guard };
        let mut started = Shard::new(Rc::clone(&self.env), shard, loading.generation, start);
        started.pause(self.paused);
        self.shards.insert(shard, started);
        self.env.observer.shard_started(shard);
        Ok(())
    }

    /// Whether a shard waits for a commit before it can go, or go on.
    pub(super) fn wants_commit(&self) -> bool {
        if self.shards.values().any(Shard::wants_commit) {
            return true;
        }
        let drained = |shard: &u32| self.shards.get(shard).is_some_and(|shard| shard.in_flight() == 0);
        self.ownership.leaving.keys().any(drained)
    }

    /// Gives a leaving shard up, once its handlers ended or were interrupted and everything they did is committed.
    fn let_go(&mut self, number: u32) -> bool {
        let Some(leaving) = self.ownership.leaving.get_mut(&number) else { return false };
        if let Some(shard) = self.shards.get_mut(&number) {
            if shard.in_flight() > 0 && !leaving.is_over {
                return false;
            }
            let interrupted = shard.interrupt();
            leaving.interrupted += interrupted;
            if interrupted > 0 && is_planted(Bug::InterruptedFails) {
                self.end(Err(Coded::new(Code::HANDLER_FAILED, "a unit was interrupted")));
                return true;
            }
            let all_interrupted = leaving.interrupted;
            let is_clean = !shard.is_dirty() && self.committer.is_idle() && shard.is_signed_off();
            self.left_interrupted(interrupted);
            if !is_clean {
                return interrupted > 0;
            }
            self.env.observer.shard_ended(number, all_interrupted);
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
