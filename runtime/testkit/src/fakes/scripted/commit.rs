//! Both commit shapes over plain maps, with the answers that the test wants.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{
    Answer, BatchCommit, Clock, CommitBatch, Entry, Generation, KeyRange, UnitCommit, UnitEffects, UnitTransaction,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use super::world::{Who, World};
use super::{Plan, Ruling, Scripted};

/// The commits of one member.
#[derive(Clone)]
pub(super) struct Commits {
    pub(super) broker: Scripted,
    pub(super) who: Who,
}

fn failure(what: &str) -> Coded {
    Coded::new(Code::BACKEND_FAILED, format!("the script says: {what}"))
}

/// What `act` did, as an answer.
fn settle(result: Result<(), Coded>) -> Answer {
    match result {
        Ok(()) => Answer::Committed,
        Err(cause) if cause.code == Code::FENCED => Answer::Fenced(cause),
        Err(cause) if cause.code == Code::EFFECTS_REFUSED => Answer::Refused(cause),
        Err(cause) => Answer::NotCommitted(cause),
    }
}

impl Scripted {
    /// Does `act` as the plan says. What takes effect early has done so when this returns.
    fn rule(&self, act: impl FnOnce(&mut World) -> Result<(), Coded> + 'static) -> LocalBoxFuture<'static, Answer> {
        let mut world = self.lock();
        world.spend();
        let Plan { ruling, delay, early } = world.plans.pop_front().unwrap_or(world.usual);
        let answer = move |world: &mut World| match ruling {
            Ruling::Commit => settle(act(world)),
            Ruling::Refuse => Answer::NotCommitted(failure("not committed")),
            Ruling::Fence => Answer::Fenced(Coded::new(Code::FENCED, "the script says: fenced")),
            Ruling::UnknownLost => Answer::Unknown(failure("nobody knows")),
            Ruling::UnknownApplied => match settle(act(world)) {
                Answer::Committed => Answer::Unknown(failure("nobody knows")),
                other => other,
            },
        };
        let (answered, later) = if early { (Some(answer(&mut world)), None) } else { (None, Some(answer)) };
        drop(world);
        let broker = self.clone();
        Box::pin(async move {
            if delay > Duration::ZERO {
                broker.clock.sleep(delay).await;
            }
            let mut world = broker.lock();
            let answer = answered.or_else(|| later.map(|answer| answer(&mut world))).expect("one of both");
            // Durable now, and the process may end before it hears of it.
            world.spend();
            answer
        })
    }

    fn scan(&self, who: &Who, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        let mut world = self.lock();
        world.spend();
        world.read_or_break()?;
        Ok(world.entries(&who.group, shard, range, limit))
    }

    fn get(&self, who: &Who, shard: u32, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        let mut world = self.lock();
        world.spend();
        world.read_or_break()?;
        let state = world.groups.get(&who.group).map(|group| &group.state);
        Ok(state.and_then(|state| state.get(&(shard, Bytes::copy_from_slice(key)))).cloned())
    }
}

impl World {
    fn read_or_break(&mut self) -> Result<(), Coded> {
        if self.broken_reads == 0 {
            return Ok(());
        }
        self.broken_reads -= 1;
        Err(failure("the state cannot be read"))
    }

    /// The first `limit` entries of a range of state keys of one shard.
    pub(super) fn entries(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Vec<Entry> {
        let Some(group) = self.groups.get(group).filter(|_| !range.is_empty()) else { return Vec::new() };
        let start = match &range.start {
            Bound::Included(key) => Bound::Included((shard, key.clone())),
            Bound::Excluded(key) => Bound::Excluded((shard, key.clone())),
            Bound::Unbounded => Bound::Included((shard, Bytes::new())),
        };
        let end = match &range.end {
            Bound::Included(key) => Bound::Included((shard, key.clone())),
            Bound::Excluded(key) => Bound::Excluded((shard, key.clone())),
            Bound::Unbounded => Bound::Excluded((shard + 1, Bytes::new())),
        };
        let entries = group.state.range((start, end)).take(limit);
        entries.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }
}

impl Commits {
    fn load_now(
        &self,
        shard: u32,
        generation: Generation,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Progress>>, Coded> {
        let mut world = self.broker.lock();
        world.spend();
        world.check(&self.who, shard, generation)?;
        Ok(partitions.iter().map(|partition| world.progress(&self.who.group, partition)).collect())
    }
}

impl BatchCommit for Commits {
    fn load(
        &self,
        shard: u32,
        generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> LocalBoxFuture<'static, Result<Vec<Option<Progress>>, Coded>> {
        let this = self.clone();
        Box::pin(async move { this.load_now(shard, generation, &partitions) })
    }

    fn get(&self, shard: u32, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.broker.get(&self.who, shard, key)
    }

    fn scan(&self, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        self.broker.scan(&self.who, shard, range, limit)
    }

    fn commit(&self, batch: Arc<CommitBatch>) -> LocalBoxFuture<'static, Answer> {
        let who = self.who.clone();
        self.broker.rule(move |world| world.apply(&who, &batch))
    }
}

#[async_trait(?Send)]
impl UnitCommit for Commits {
    async fn load(
        &self,
        shard: u32,
        generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<Option<Progress>>, Coded> {
        self.load_now(shard, generation, &partitions)
    }

    async fn fold(&self, batch: Arc<CommitBatch>) -> Answer {
        let result = {
            let mut world = self.broker.lock();
            world.spend();
            world.apply(&self.who, &batch)
        };
        settle(result)
    }

    async fn begin(&self, shard: u32, generation: Generation) -> Result<Box<dyn UnitTransaction>, Coded> {
        let mut world = self.broker.lock();
        world.spend();
        world.check(&self.who, shard, generation)?;
        drop(world);
        let open = Arc::clone(&self.broker.open);
        open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Transaction { commits: self.clone(), shard, generation, open }))
    }
}

/// The transaction of one unit.
struct Transaction {
    commits: Commits,
    shard: u32,
    generation: Generation,
    open: Arc<AtomicUsize>,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait(?Send)]
impl UnitTransaction for Transaction {
    async fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.commits.broker.get(&self.commits.who, self.shard, key)
    }

    async fn scan(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        self.commits.broker.scan(&self.commits.who, self.shard, range, limit)
    }

    async fn commit(self: Box<Self>, effects: UnitEffects) -> Answer {
        let (who, place) = (self.commits.who.clone(), (self.shard, self.generation));
        let ruled = self.commits.broker.rule(move |world| {
            if world.apply_unit(&who, place, &effects)? { Ok(()) } else { Err(failure("the record is done already")) }
        });
        ruled.await
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}
