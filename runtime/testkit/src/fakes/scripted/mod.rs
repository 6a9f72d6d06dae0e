//! A broker in plain maps whose ownership, answers and end are under the test's control.

mod commit;
mod log;
mod ownership;
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_core::code::{Code, Coded};
use tidemill_core::internal::internal;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Broker, Committing, Entry, KeyRange, Lag, Member, Subscription, TopicInfo, Topics};
use tidemill_core::progress::Progress;
use tidemill_core::record::{Record, RecordBatch, TopicPartition};
use tidemill_core::time::Timestamp;

use crate::fakes::VirtualClock;
use commit::Commits;
use log::Reading;
use world::{Partition, Topic, Who, World};

/// How long others wait for partitions that were asked back.
const DRAIN: Duration = Duration::from_secs(4);

/// How members commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Many units at once.
    Batch,
    /// Each unit by itself.
    Unit,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// What the rules say: committed, or fenced.
    Commit,
    /// Not committed.
    Refuse,
    /// Fenced, whoever owns the shard.
    Fence,
    /// Done, and nobody is told.
    UnknownApplied,
    /// Not done, and nobody is told.
    UnknownLost,
}

/// How a commit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// What becomes of it.
    pub ruling: Ruling,
    /// How long the answer takes.
    pub delay: Duration,
    /// Whether it takes effect when it begins; otherwise when it is answered, and never if nobody waits for that.
    pub early: bool,
}

impl Plan {
    /// Answered at once.
    pub const fn now(ruling: Ruling) -> Self {
        Self { ruling, delay: Duration::ZERO, early: true }
    }

    /// Answered, and done, after a while.
    pub const fn after(ruling: Ruling, delay: Duration) -> Self {
        Self { ruling, delay, early: false }
    }
}

/// A broker in plain maps. Clones share everything.
#[derive(Clone)]
pub struct Scripted {
    world: Arc<Mutex<World>>,
    clock: Arc<VirtualClock>,
    shape: Shape,
    /// Transactions of units that are open.
    open: Arc<AtomicUsize>,
}

impl Scripted {
    /// An empty broker that hands out partitions by itself.
    pub fn new(clock: &Arc<VirtualClock>, shape: Shape) -> Self {
        let world = World {
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            numbers: 0,
            by_hand: false,
            markers: 0,
            drain: DRAIN,
            plans: VecDeque::new(),
            usual: Plan::now(Ruling::Commit),
            fuel: None,
            calls: 0,
            broken_reads: 0,
            commits: 0,
            largest_value: usize::MAX,
            largest_told: None,
        };
        Self { world: Arc::new(Mutex::new(world)), clock: Arc::clone(clock), shape, open: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on partitions move by [`Scripted::assign`], [`Scripted::revoke`] and [`Scripted::lose`] only.
    pub fn by_hand(self) -> Self {
        self.lock().by_hand = true;
        self
    }

    /// From now on each commit and publish takes so many offsets behind its records, as transactions do.
    pub fn with_markers(self, offsets: u64) -> Self {
        self.lock().markers = offsets;
        self
    }

    /// Creates a topic.
    pub fn create(&self, topic: &str, partitions: u32) {
        let mut world = self.lock();
        let id = format!("{topic}#{}", world.number()).into();
        let partitions = (0..partitions).map(|_| Partition::default()).collect();
        world.topics.entry(topic.into()).or_insert(Topic { id, partitions });
    }

    /// Appends a record and tells its offset; the record's own is of no account.
    pub fn append(&self, partition: &TopicPartition, record: Record) -> u64 {
        let mut world = self.lock();
        let topic = world.topics.get_mut(&partition.topic).expect("the test created the topic");
        let offset = topic.partitions[partition.partition as usize].append(record);
        world.wake_all();
        offset
    }

    fn edit(&self, partition: &TopicPartition, edit: impl FnOnce(&mut Partition)) {
        let mut world = self.lock();
        let topic = world.topics.get_mut(&partition.topic).expect("the test created the topic");
        edit(&mut topic.partitions[partition.partition as usize]);
    }

    /// Leaves offsets out, as a transaction's marker does.
    pub fn skip(&self, partition: &TopicPartition, offsets: u64) {
        self.edit(partition, |partition| partition.end += offsets);
        self.lock().wake_all();
    }

    /// Removes one record, as compaction does.
    pub fn compact(&self, partition: &TopicPartition, offset: u64) {
        self.edit(partition, |partition| drop(partition.records.remove(&offset)));
    }

    /// Removes everything before `offset`, as retention does.
    pub fn delete_before(&self, partition: &TopicPartition, offset: u64) {
        self.edit(partition, |partition| {
            partition.start = offset;
            partition.records = partition.records.split_off(&offset);
        });
    }

    /// All records of a topic, by partition.
    pub fn records(&self, topic: &str) -> Vec<Vec<Record>> {
        let world = self.lock();
        let topic = world.topics.get(topic);
        let all = |partition: &Partition| partition.records.values().cloned().collect();
        topic.map(|topic| topic.partitions.iter().map(all).collect()).unwrap_or_default()
    }

    /// These partitions, and those of the group's internal topic that go with them, where it has one.
    fn with_internal(&self, group: &str, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        let internal: Arc<str> = internal(group).into();
        let mut all = partitions.to_vec();
        if self.lock().topics.contains_key(&internal) {
            let shards: BTreeSet<u32> = partitions.iter().map(|partition| partition.partition).collect();
            all.extend(shards.into_iter().map(|shard| TopicPartition::new(Arc::clone(&internal), shard)));
        }
        all
    }

    /// Gives partitions to a member.
    pub fn assign(&self, group: &str, member: &str, partitions: &[TopicPartition]) {
        let partitions = self.with_internal(group, partitions);
        self.lock().assign(group, &member.into(), partitions);
    }

    /// Asks partitions back from a member.
    pub fn revoke(&self, group: &str, member: &str, partitions: &[TopicPartition]) {
        let partitions = self.with_internal(group, partitions);
        self.lock().revoke(group, member, partitions, self.clock.passed());
    }

    /// Takes partitions from a member.
    pub fn lose(&self, group: &str, member: &str, partitions: &[TopicPartition]) {
        let partitions = self.with_internal(group, partitions);
        self.lock().lose(group, member, partitions);
    }

    /// Who owns a partition.
    pub fn owner(&self, group: &str, partition: &TopicPartition) -> Option<Arc<str>> {
        self.lock().groups.get(group)?.owners.get(partition).map(|owner| Arc::clone(&owner.member))
    }

    /// How the next commit without a plan goes.
    pub fn plan(&self, plan: Plan) {
        self.lock().plans.push_back(plan);
    }

    /// How commits go that nobody planned.
    pub fn usually(&self, plan: Plan) {
        self.lock().usual = plan;
    }

    /// From now on a commit with a value that has more bytes is refused.
    pub fn refuse_values_over(&self, bytes: usize) {
        self.lock().largest_value = bytes;
    }

    /// From now on the broker tells that topics take records of so many bytes.
    pub fn tell_largest(&self, bytes: usize) {
        self.lock().largest_told = Some(bytes);
    }

    /// Pauses a group, or lets it go on.
    pub fn pause(&self, group: &str, paused: bool) {
        self.lock().pause(group, paused);
    }

    /// How many commits took effect.
    pub fn commits(&self) -> usize {
        self.lock().commits
    }

    /// Ends the process at the port call after the next `calls`, see [`Crash`](crate::fakes::Crash).
    pub fn crash_after(&self, calls: u64) {
        self.lock().fuel = Some(calls);
    }

    /// Lets port calls be answered again, as often as wanted, with nothing planned.
    pub fn revive(&self) {
        let mut world = self.lock();
        world.fuel = None;
        world.plans.clear();
    }

    /// How many port calls there were.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Lets the next `reads` of state fail.
    pub fn break_reads(&self, reads: usize) {
        self.lock().broken_reads = reads;
    }

    /// How many transactions of units are open.
    pub fn open_transactions(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The durable progress of a group.
    pub fn progress(&self, group: &str, partition: &TopicPartition) -> Option<Progress> {
        self.lock().progress(group, partition)
    }

    /// How many traces of single units wait to be folded into progress.
    pub fn unfolded(&self, group: &str, partition: &TopicPartition) -> usize {
        let world = self.lock();
        world.groups.get(group).and_then(|group| group.done.get(partition)).map_or(0, BTreeSet::len)
    }

    /// All durable state of one shard of a group.
    pub fn states(&self, group: &str, shard: u32) -> Vec<Entry> {
        let all = KeyRange::all();
        self.lock().entries(group, shard, &all, usize::MAX)
    }
}

#[async_trait]
impl Broker for Scripted {
    fn join(&self, subscription: Subscription) -> Result<Member, Coded> {
        let who = Who { group: Arc::clone(&subscription.group), member: Arc::clone(&subscription.member) };
        let log = Box::new(Reading::join(self.clone(), subscription)?);
        let commits = Rc::new(Commits { broker: self.clone(), who });
        let commits = match self.shape {
            Shape::Batch => Committing::Batch(commits),
            Shape::Unit => Committing::Unit(commits),
        };
        Ok(Member { log, commits })
    }

    fn topics(&self) -> Arc<dyn Topics> {
        Arc::new(self.clone())
    }

    async fn publish(&self, outputs: Outputs) -> Result<(), Coded> {
        self.lock().append(&outputs)
    }

    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        let world = self.lock();
        let mut lags = Vec::new();
        for topic in topics {
            let known = world.topics.get(topic).ok_or_else(|| missing(topic))?;
            for (number, partition) in (0..).zip(&known.partitions) {
                let place = TopicPartition::new(Arc::clone(topic), number);
                let progress = world.progress(group, &place).unwrap_or_default();
                let behind = partition.records.keys().filter(|offset| !progress.is_done(**offset)).count();
                lags.push(Lag { partition: place, records: behind as u64 });
            }
        }
        Ok(lags)
    }

    async fn shards(&self, group: &str) -> Result<u32, Coded> {
        let world = self.lock();
        let partitions = world.groups.get(group).map(|group| group.progress.keys());
        Ok(partitions.and_then(|all| all.map(|place| place.partition + 1).max()).unwrap_or(0))
    }

    async fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        Ok(self.lock().entries(group, shard, range, limit))
    }
}

fn missing(topic: &str) -> Coded {
    Coded::new(Code::TOPIC_MISSING, format!("topic {topic} does not exist"))
}

#[async_trait]
impl Topics for Scripted {
    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, Coded> {
        let world = self.lock();
        Ok(world.topics.get(topic).map(|known| TopicInfo {
            partitions: u32::try_from(known.partitions.len()).expect("created with a 32-bit number"),
            id: Arc::clone(&known.id),
        }))
    }

    async fn create(&self, topic: &str, partitions: u32) -> Result<(), Coded> {
        let known = self.describe(topic).await?;
        match known {
            Some(known) if known.partitions != partitions => {
                let message = format!("topic {topic} exists with {} partitions", known.partitions);
                Err(Coded::new(Code::TOPIC_EXISTS, message))
            }
            Some(_) => Ok(()),
            None => {
                Self::create(self, topic, partitions);
                Ok(())
            }
        }
    }

    async fn largest(&self, topics: &[Arc<str>]) -> Result<Vec<Option<usize>>, Coded> {
        Ok(vec![self.lock().largest_told; topics.len()])
    }

    async fn offsets(&self, partition: &TopicPartition) -> Result<(u64, u64), Coded> {
        self.lock().partition(partition).map(|found| (found.start, found.end))
    }

    async fn offset_at(&self, partition: &TopicPartition, at: Timestamp) -> Result<Option<u64>, Coded> {
        self.lock().offset_at(partition, at)
    }

    async fn records(&self, partition: &TopicPartition, from: u64, limit: usize) -> Result<RecordBatch, Coded> {
        let world = self.lock();
        let found = world.partition(partition)?;
        let records: Vec<Record> = found.records.range(from..).take(limit).map(|(_, record)| record.clone()).collect();
        let last = records.last().filter(|_| records.len() == limit);
        let next = last.map_or(found.end.max(from), |record| record.offset + 1);
        Ok(RecordBatch { source: partition.clone(), records, next })
    }
}
