//! Topics that stand still, as a broker on which nothing can run.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tidemill_core::code::{Code, Coded};
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Broker, Entry, KeyRange, Lag, Member, Subscription, TopicInfo, Topics};
use tidemill_core::record::{Record, RecordBatch, TopicPartition};
use tidemill_core::time::Timestamp;

use super::Topic;

/// Topics with what was kept of their records.
#[derive(Clone)]
pub(crate) struct Exported(Arc<Kept>);

struct Kept {
    topics: BTreeMap<String, Topic>,
    /// By offset.
    records: BTreeMap<TopicPartition, Vec<Record>>,
}

impl Exported {
    pub(crate) fn new(topics: BTreeMap<String, Topic>, records: BTreeMap<TopicPartition, Vec<Record>>) -> Self {
        Self(Arc::new(Kept { topics, records }))
    }

    fn of(&self, partition: &TopicPartition) -> &[Record] {
        self.0.records.get(partition).map_or(&[], Vec::as_slice)
    }
}

fn refused<T>(what: &str) -> Result<T, Coded> {
    let message = format!("{what}: a file of exported records can be read, and nothing else");
    Err(Coded::new(Code::NOT_OFFERED, message))
}

#[async_trait]
impl Topics for Exported {
    /// A topic that this build needs and that is not in the file is one like others, and empty.
    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, Coded> {
        let known = self.0.topics.get(topic);
        let id = known.map_or(topic, |known| &known.id);
        let like = known.or_else(|| self.0.topics.values().next());
        Ok(like.map(|like| TopicInfo { partitions: like.partitions, id: id.into() }))
    }

    async fn create(&self, topic: &str, _partitions: u32) -> Result<(), Coded> {
        refused(&format!("topic {topic} cannot be created"))
    }

    async fn offsets(&self, partition: &TopicPartition) -> Result<(u64, u64), Coded> {
        let records = self.of(partition);
        let end = records.last().map_or(0, |last| last.offset + 1);
        Ok((records.first().map_or(0, |first| first.offset), end))
    }

    async fn offset_at(&self, partition: &TopicPartition, at: Timestamp) -> Result<Option<u64>, Coded> {
        let found = self.of(partition).iter().find(|record| record.timestamp >= at);
        Ok(found.map(|record| record.offset))
    }

    async fn records(&self, partition: &TopicPartition, from: u64, limit: usize) -> Result<RecordBatch, Coded> {
        let all = self.of(partition);
        let first = all.partition_point(|record| record.offset < from);
        let records: Vec<Record> = all[first..].iter().take(limit).cloned().collect();
        let next = records.last().map_or(from, |last| last.offset + 1);
        Ok(RecordBatch { source: partition.clone(), records, next })
    }
}

#[async_trait]
impl Broker for Exported {
    fn join(&self, subscription: Subscription) -> Result<Member, Coded> {
        refused(&format!("{} cannot run", subscription.group))
    }

    fn topics(&self) -> Arc<dyn Topics> {
        Arc::new(self.clone())
    }

    async fn publish(&self, _outputs: Outputs) -> Result<(), Coded> {
        refused("nothing can be published")
    }

    async fn lag(&self, group: &str, _topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        refused(&format!("nobody tells how far {group} is"))
    }

    async fn shards(&self, group: &str) -> Result<u32, Coded> {
        refused(&format!("the state of {group} is not in it"))
    }

    async fn state(&self, group: &str, _shard: u32, _range: &KeyRange, _limit: usize) -> Result<Vec<Entry>, Coded> {
        refused(&format!("the state of {group} is not in it"))
    }
}
