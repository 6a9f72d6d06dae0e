//! The broker port: joins groups, publishes, and tells about topics.

use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;

use crate::code::{Code, Coded};
use crate::outputs::Outputs;
use crate::ports::{BatchCommit, Entry, KeyRange, Log, Sender, Subscription, UnitCommit};
use crate::record::{RecordBatch, TopicPartition};
use crate::time::Timestamp;

/// How a member's units are committed.
#[derive(Clone)]
pub enum Committing {
    /// Many completed units at once.
    Batch(Rc<dyn BatchCommit>),
    /// Each unit in its own transaction.
    Unit(Rc<dyn UnitCommit>),
}

/// One member of a group: its log and its commits, which share one ownership.
pub struct Member {
    /// Records and ownership.
    pub log: Box<dyn Log>,
    /// Where completed units go.
    pub commits: Committing,
}

/// A topic that a broker needs for a group itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it has; as many as the group's inputs unless this says it.
    pub partitions: Option<u32>,
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: TopicPartition,
    /// Records that the group has not done and committed. Offsets that hold no record, such as the marker of a transaction, may
    /// count as long as the group's progress has not passed them.
    pub records: u64,
}

/// A place that holds topics and groups. Shared by threads; what it opens stays on the thread that opened it.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Joins a group. The member owns nothing until its log says so.
    fn join(&self, subscription: Subscription) -> Result<Member, Coded>;

    /// Topics and positions.
    fn topics(&self) -> Arc<dyn Topics>;

    /// The topics that this broker needs for a group itself, beside those that its service reads and writes.
    fn own_topics(&self, _group: &str) -> Vec<OwnTopic> {
        Vec::new()
    }

    /// Creates one of them, for a group that reads these inputs. One that exists with as many partitions is fine.
    async fn create_own(&self, topic: &str, _inputs: &[Arc<str>], partitions: u32) -> Result<(), Coded> {
        self.topics().create(topic, partitions).await
    }

    /// Whether a group can do its work: it may read its inputs and write its outputs, and what the broker needs for it fits. All
    /// topics exist. What is missing is an error that names the remedy.
    async fn check(&self, _group: &str, _inputs: &[Arc<str>], _outputs: &[Arc<str>]) -> Result<(), Coded> {
        Ok(())
    }

    /// Makes records durable in one atomic act, outside any group. A broker to which the epoch and what lies before it are no
    /// times keeps such a record under the first millisecond after the epoch; so do commits.
    async fn publish(&self, outputs: Outputs) -> Result<(), Coded>;

    /// Somebody who publishes under a name, exactly once. The name has to be taken before.
    fn sender(&self, name: &str) -> Result<Box<dyn Sender>, Coded> {
        let message = format!("the broker of {name} publishes nothing but what its groups commit");
        Err(Coded::new(Code::NOT_OFFERED, message))
    }

    /// The topic that this broker needs for a sender's receipts, if it needs one; see [`create_own`](Self::create_own).
    fn sender_topic(&self, _name: &str) -> Option<OwnTopic> {
        None
    }

    /// How far a group is behind in each partition of these topics. Read so that all zeros mean: at one moment, the group
    /// had done and committed everything there was. What the commits that it counts have emitted shows in
    /// [`Topics::offsets`] before the answer comes.
    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded>;

    /// How many events are committed and wait to be sent to the log, those aside that wait for an operator.
    async fn unsent(&self) -> Result<u64, Coded> {
        Ok(0)
    }

    /// Lets the group begin nothing new, or go on, in all processes and whoever joins later; tells whether that is a change. A broker
    /// that one process has to itself need not offer it: whoever could ask is the one that runs the service.
    async fn pause(&self, group: &str, _paused: bool) -> Result<bool, Coded> {
        let message = format!("the broker of {group} serves one process alone, which is stopped instead of paused");
        Err(Coded::new(Code::NOT_OFFERED, message))
    }

    /// Whether the group is paused.
    async fn is_paused(&self, _group: &str) -> Result<bool, Coded> {
        Ok(false)
    }

    /// How many members the group has at this moment, in all processes. A broker that one process has to itself need not tell.
    async fn members(&self, _group: &str) -> Result<usize, Coded> {
        Ok(0)
    }

    /// A number that is greater than that of every shard which the group ever committed; 0 where nothing is known of the
    /// group. Shards below it may have nothing. The group need not run.
    async fn shards(&self, group: &str) -> Result<u32, Coded>;

    /// The first `limit` committed state entries of one shard of a group, in key order. The group need not run.
    async fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded>;
}

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// How many partitions it has.
    pub partitions: u32,
    /// The topic's own id: another one when a topic of the same name is made again.
    pub id: Arc<str>,
}

/// Topics, positions, and records as they lie there.
#[async_trait]
pub trait Topics: Send + Sync {
    /// What is known of a topic, if it exists.
    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, Coded>;

    /// Creates a topic. One that exists with as many partitions is fine.
    async fn create(&self, topic: &str, partitions: u32) -> Result<(), Coded>;

    /// For each of these topics, the bytes of the largest record that it takes, where the broker has such a limit and tells it. A
    /// record below it may be refused all the same: what a broker counts of a record beside its key, headers and value is its own
    /// matter.
    async fn largest(&self, topics: &[Arc<str>]) -> Result<Vec<Option<usize>>, Coded> {
        Ok(vec![None; topics.len()])
    }

    /// The oldest offset that is there, and one past the newest. Some between them may hold no record: a reader that has read
    /// all stands at the end.
    async fn offsets(&self, partition: &TopicPartition) -> Result<(u64, u64), Coded>;

    /// The offset of the first record with this timestamp or a later one, if there is one.
    async fn offset_at(&self, partition: &TopicPartition, at: Timestamp) -> Result<Option<u64>, Coded>;

    /// The first `limit` committed records from this offset on, or from the oldest that is left, without joining a group. To read
    /// on, ask from the batch's `next`; a batch of fewer records ends where the partition did when it was asked for.
    async fn records(&self, partition: &TopicPartition, from: u64, limit: usize) -> Result<RecordBatch, Coded>;
}
