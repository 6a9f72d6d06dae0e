//! Rows of an outbox as records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::code::Coded;
use crate::outputs::{Address, Outputs};
use crate::partitioner::partition_for;
use crate::ports::{OutboxRow, Topics};

/// A row that cannot be a record, and why.
pub(super) struct Unfit {
    pub(super) id: u64,
    pub(super) why: String,
}

/// Rows that can be records, and those that cannot.
pub(super) struct Sorted {
    /// The records of the rows, in their order.
    pub(super) outputs: Outputs,
    pub(super) rows: Vec<OutboxRow>,
    /// The first of each topic and key. What stands behind one is in neither list.
    pub(super) unfit: Vec<Unfit>,
}

/// Makes records of rows.
pub(super) struct Records {
    topics: Arc<dyn Topics>,
    /// How many partitions each topic has that was met.
    partitions: BTreeMap<Arc<str>, u32>,
}

impl Records {
    pub(super) fn new(topics: Arc<dyn Topics>) -> Self {
        Self { topics, partitions: BTreeMap::new() }
    }

    /// Looks at topics anew.
    pub(super) fn forget(&mut self) {
        self.partitions.clear();
    }

    /// The rows as records.
    pub(super) async fn of(&mut self, rows: Vec<OutboxRow>) -> Result<Sorted, Coded> {
        let mut topics: Vec<Arc<str>> = rows.iter().map(|row| Arc::clone(&row.topic)).collect();
        topics.sort();
        topics.dedup();
        let outputs = Outputs::new(topics.as_slice().into());
        let mut sorted = Sorted { outputs, rows: Vec::with_capacity(rows.len()), unfit: Vec::new() };
        let mut stands = BTreeSet::new();
        for row in rows {
            let lane = row.lane();
            if lane.as_ref().is_some_and(|lane| stands.contains(lane)) {
                continue;
            }
            let partition = match self.partition(&row).await? {
                Ok(partition) => partition,
                Err(why) => {
                    stands.extend(lane);
                    sorted.unfit.push(Unfit { id: row.id, why });
                    continue;
                }
            };
            let place = topics.binary_search(&row.topic).expect("every topic is there");
            let topic = u16::try_from(place).expect("no more topics than rows");
            let address = Address { topic, partition, timestamp: row.at };
            sorted.outputs.push_raw(address, row.key.as_deref(), &row.headers, row.value.as_deref());
            sorted.rows.push(row);
        }
        Ok(sorted)
    }

    /// Where a row goes; or why it cannot go anywhere.
    async fn partition(&mut self, row: &OutboxRow) -> Result<Result<u32, String>, Coded> {
        let Some(mut partitions) = self.partitions(&row.topic).await? else {
            return Ok(Err(format!("topic {} does not exist", row.topic)));
        };
        let Some(partition) = row.partition else {
            // Without a key, by chance.
            return Ok(Ok(partition_for(row.key.as_deref().unwrap_or(&row.event), partitions)));
        };
        if partition >= partitions {
            // There may be more of them by now.
            self.partitions.remove(&row.topic);
            partitions = self.partitions(&row.topic).await?.unwrap_or_default();
        }
        let is_there = partition < partitions;
        Ok(is_there.then_some(partition).ok_or_else(|| format!("topic {} has no partition {partition}", row.topic)))
    }

    async fn partitions(&mut self, topic: &Arc<str>) -> Result<Option<u32>, Coded> {
        if let Some(known) = self.partitions.get(topic) {
            return Ok(Some(*known));
        }
        let found = self.topics.describe(topic).await?.map(|info| info.partitions);
        self.partitions.extend(found.map(|partitions| (Arc::clone(topic), partitions)));
        Ok(found)
    }
}
