//! Records of one partition, read one batch after the other, without joining any group.

use std::sync::Arc;

use crate::code::Coded;
use crate::ports::Topics;
use crate::record::{Record, TopicPartition};

/// Records that are read at once, and the most of them where they are small: on Kafka, each look opens a connection.
const BATCH: usize = 1_000;
const MOST: usize = 32_768;
/// Bytes of records that are read at once, if they are as large as those before.
const BATCH_BYTES: usize = 16 << 20;

/// Reads a partition to the end that it has when that is met.
pub struct Reader {
    topics: Arc<dyn Topics>,
    partition: TopicPartition,
    next: u64,
    limit: usize,
    is_at_end: bool,
}

impl Reader {
    /// Of the committed records from this offset on, or from the oldest that is left.
    pub fn new(topics: Arc<dyn Topics>, partition: TopicPartition, from: u64) -> Self {
        Self { topics, partition, next: from, limit: BATCH, is_at_end: false }
    }

    /// A reader of the same partition from this offset on.
    #[must_use]
    pub fn again_from(&self, offset: u64) -> Self {
        Self::new(Arc::clone(&self.topics), self.partition.clone(), offset)
    }

    /// The next records; none at the end.
    pub async fn read(&mut self) -> Result<Vec<Record>, Coded> {
        if self.is_at_end {
            return Ok(Vec::new());
        }
        let batch = self.topics.records(&self.partition, self.next, self.limit).await?;
        self.next = batch.next;
        self.is_at_end = batch.records.len() < self.limit;
        let bytes: usize = batch.records.iter().map(Record::size).sum();
        self.limit = (BATCH_BYTES / (bytes / self.limit).max(1)).clamp(BATCH, MOST);
        Ok(batch.records)
    }

    /// The partition.
    pub const fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The offset behind what was read.
    pub const fn next(&self) -> u64 {
        self.next
    }
}
