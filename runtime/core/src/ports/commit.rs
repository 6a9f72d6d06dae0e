//! The commit port: how completed units become durable, in its two shapes.
//!
//! *Batch*: state changes, outputs and progress of many completed units in one atomic act, while handlers go on.
//! *Unit*: each unit has a transaction of its own that its reads and effects go through; its lane waits for the commit.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::code::{Code, Coded};
use crate::outputs::Outputs;
use crate::ports::{Change, Entry, Generation, KeyRange};
use crate::progress::Progress;
use crate::record::{Position, TopicPartition};

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All of it is durable.
    Committed,
    /// None of it is, and none will be; the same batch may be tried again.
    NotCommitted(Coded),
    /// None of it is, and none will be as it is: what one of the units emitted or changed is not taken, because it is too large or
    /// goes where it may not. The same units, fewer at a time, tell which one it is.
    Refused(Coded),
    /// None of it is, because this member is not the owner any more.
    Fenced(Coded),
    /// Nobody can say. Only what is durable counts: it has to be read again.
    Unknown(Coded),
}

/// The part of a batch that belongs to one shard.
#[derive(Debug, Clone, Default)]
pub struct ShardCommit {
    /// The shard's number.
    pub shard: u32,
    /// The ownership in which the units ran.
    pub generation: Generation,
    /// State changes, at most one for a key.
    pub changes: Vec<Change>,
    /// The progress of every partition of the shard of which anything is known, as it is with the batch's units done.
    pub progress: Vec<(TopicPartition, Progress)>,
}

impl ShardCommit {
    /// The partitions by which an adapter checks that the owner commits. There is at least one: a commit that names none
    /// could not be fenced, and is refused with [`Code::FENCED`].
    pub fn fenced_by(&self) -> Result<impl Iterator<Item = &TopicPartition>, Coded> {
        if self.progress.is_empty() {
            let message = format!("a commit of shard {} names no partition, so nobody can check its owner", self.shard);
            return Err(Coded::new(Code::FENCED, message));
        }
        Ok(self.progress.iter().map(|(partition, _)| partition))
    }
}

/// Completed units of one worker, to be made durable all together or not at all.
#[derive(Debug, Default)]
pub struct CommitBatch {
    /// One entry for every shard that the batch touches.
    pub shards: Vec<ShardCommit>,
    /// What the units emitted, in the order in which they completed.
    pub outputs: Outputs,
    /// How many units the batch holds.
    pub units: usize,
}

/// Commits in batches and reads what is committed.
///
/// Contract: a batch is applied whole or not at all, also across a crash; nobody sees its outputs before; a batch whose
/// generation is not that of the shard's present owner, or that names no partition of a shard by which the owner could be
/// checked, is answered with [`Answer::Fenced`]; reads see every batch that was
/// answered with [`Answer::Committed`]. One commit of a member is under way at a time.
pub trait BatchCommit {
    /// Makes the shard's state readable and tells its durable progress, in the order of `partitions`; `None` where the group
    /// never committed. A load that nobody waits for any more disturbs no later one. For an ownership that is over it may answer with [`Code::FENCED`](crate::code::Code::FENCED); the
    /// worker then waits for the log to say so.
    fn load(
        &self,
        shard: u32,
        generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> LocalBoxFuture<'static, Result<Vec<Option<Progress>>, Coded>>;

    /// The committed value of a state key of a loaded shard.
    fn get(&self, shard: u32, key: &[u8]) -> Result<Option<Bytes>, Coded>;

    /// The first `limit` committed entries of a range of state keys of a loaded shard, in key order.
    fn scan(&self, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded>;

    /// Commits a batch. Dropping the future does not undo it.
    fn commit(&self, batch: Arc<CommitBatch>) -> LocalBoxFuture<'static, Answer>;
}

/// A record that is done with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Where it stands.
    pub position: Position,
    /// Where this ownership began to read its partition: for a group without progress there, everything before counts as done.
    pub since: u64,
}

/// What one unit did, for a commit of its own.
#[derive(Debug)]
pub struct UnitEffects {
    /// The record that is done with this unit; none for a unit whose record was parked, as it is done since then.
    pub done: Option<Done>,
    /// State changes, at most one for a key.
    pub changes: Vec<Change>,
    /// A state key that is among the changes and may not be there yet: where another unit has written it meanwhile, nothing is
    /// committed, and the answer is [`Answer::NotCommitted`].
    pub once: Option<Bytes>,
    /// What the unit emitted, in order.
    pub outputs: Outputs,
}

/// Commits every unit in a transaction of its own.
///
/// Contract: as for [`BatchCommit`], for one unit; units of one shard may commit at the same time and in any order, and a
/// record that is done is not done again: a second commit of it is answered with [`Answer::NotCommitted`].
#[async_trait(?Send)]
pub trait UnitCommit {
    /// As [`BatchCommit::load`]. Progress holds every unit that committed. A commit that nobody waits for any more is settled
    /// before: what this answers holds its unit, or the unit will never be committed.
    async fn load(
        &self,
        shard: u32,
        generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<Option<Progress>>, Coded>;

    /// Makes the progress of shards durable, so that the traces which single units left can be removed, together with what else the batch
    /// holds: the journal's records, and changes of state that go with them. Units whose commit was answered are done in it; what others
    /// left stays.
    async fn fold(&self, batch: Arc<CommitBatch>) -> Answer;

    /// Opens the transaction of one unit.
    async fn begin(&self, shard: u32, generation: Generation) -> Result<Box<dyn UnitTransaction>, Coded>;
}

/// The transaction of one unit. Dropping it undoes everything.
#[async_trait(?Send)]
pub trait UnitTransaction {
    /// The value of a state key, as this transaction sees it.
    async fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, Coded>;

    /// The first `limit` entries of a range of state keys, in key order.
    async fn scan(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded>;

    /// Commits what the unit did.
    async fn commit(self: Box<Self>, effects: UnitEffects) -> Answer;

    /// What broke it beneath the handler, such as another transaction that was in the way: no fault of the handler's, whatever that
    /// answers. The unit runs again, and no attempt is spent.
    fn broken(&self) -> Option<Coded> {
        None
    }

    /// Itself, for handlers that know the adapter.
    fn as_any(&mut self) -> &mut dyn Any;
}
