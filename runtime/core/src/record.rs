//! Records: bytes as the broker holds them, and where they stand.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::headers::Headers;
use crate::time::Timestamp;

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }

    /// The position of the record at `offset` in this partition.
    pub fn at(&self, offset: u64) -> Position {
        Position { source: self.clone(), offset }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Where a record stands: topic, partition and offset. Printed as `topic-partition@offset`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The partition.
    pub source: TopicPartition,
    /// The record's number in its partition.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.source, self.offset)
    }
}

/// A record as read from a log. Key, value and headers are views on the reader's memory; cloning one copies no bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's number in its partition.
    pub offset: u64,
    /// When the record was written, or when its event happened: the log's own timestamp.
    pub timestamp: Timestamp,
    /// The key, if the record has one. A record without a key has no state and no order.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in the order they were written.
    pub headers: Headers,
}

impl Record {
    /// The bytes this record keeps in memory: key, value and headers.
    pub fn size(&self) -> usize {
        let part = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        part(&self.key) + part(&self.value) + self.headers.as_bytes().len()
    }
}

/// Consecutive records of one partition, in offset order (offsets may have gaps).
#[derive(Debug, Clone)]
pub struct RecordBatch {
    /// The partition all of them come from.
    pub source: TopicPartition,
    /// The records, oldest first. None where the log only tells that its position moved on.
    pub records: Vec<Record>,
    /// One past the newest offset that this batch accounts for: each offset before it is in this batch or an earlier one, or
    /// will never hold a record, such as the marker of a transaction or a record that was compacted away.
    pub next: u64,
}

#[cfg(test)]
mod tests;
