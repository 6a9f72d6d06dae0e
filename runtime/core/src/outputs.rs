//! What units emit, packed: one buffer for all bytes, one small entry a record.

use std::sync::Arc;

use crate::headers::Headers;
use crate::time::Timestamp;

/// Where the parts of one record lie in the buffer: key, headers and value stand behind one another.
#[derive(Debug, Clone, Copy)]
struct Entry {
    topic: u16,
    partition: u32,
    timestamp: Timestamp,
    start: usize,
    key: Option<u32>,
    headers: u32,
    value: Option<u32>,
}

/// Records on their way out, in the order in which they were emitted.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    topics: Arc<[Arc<str>]>,
    buffer: Vec<u8>,
    entries: Vec<Entry>,
}

/// One record on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// The topic it goes to.
    pub topic: &'a Arc<str>,
    /// The partition, by the rule of [`crate::partitioner`].
    pub partition: u32,
    /// The record's timestamp.
    pub timestamp: Timestamp,
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The encoded header block, see [`crate::headers`].
    pub headers: &'a [u8],
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Where a record goes and when it happened.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// The topic's place in the table that the outputs were made with.
    pub topic: u16,
    /// The partition.
    pub partition: u32,
    /// The record's timestamp.
    pub timestamp: Timestamp,
}

impl Outputs {
    /// No records yet; they will go to topics of this table.
    pub fn new(topics: Arc<[Arc<str>]>) -> Self {
        Self { topics, buffer: Vec::new(), entries: Vec::new() }
    }

    /// The same records with a table that begins with the topics of the old one.
    #[must_use]
    pub fn with_topics(mut self, topics: Arc<[Arc<str>]>) -> Self {
        debug_assert!(topics.starts_with(&self.topics), "places of topics stay");
        self.topics = topics;
        self
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of all keys, headers and values.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Appends a record whose headers and value are written by closures straight into the buffer. When one fails, nothing
    /// was appended.
    pub fn push<E>(
        &mut self,
        address: Address,
        key: Option<&[u8]>,
        headers: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let start = self.buffer.len();
        if let Some(key) = key {
            self.buffer.extend_from_slice(key);
        }
        let key_end = self.buffer.len();
        headers(&mut self.buffer);
        let headers_end = self.buffer.len();
        let has_value = match value(&mut self.buffer) {
            Ok(has_value) => has_value,
            Err(error) => {
                self.buffer.truncate(start);
                return Err(error);
            }
        };
        let length = |from: usize, to: usize| u32::try_from(to - from).expect("a record part under 4 GiB");
        let value = has_value.then(|| length(headers_end, self.buffer.len()));
        self.entries.push(Entry {
            topic: address.topic,
            partition: address.partition,
            timestamp: address.timestamp,
            start,
            key: key.map(|_| length(start, key_end)),
            headers: length(key_end, headers_end),
            value,
        });
        Ok(())
    }

    /// Appends a record as it is.
    pub fn push_raw(&mut self, address: Address, key: Option<&[u8]>, headers: &Headers, value: Option<&[u8]>) {
        let written: Result<(), std::convert::Infallible> = self.push(
            address,
            key,
            |buffer| buffer.extend_from_slice(headers.as_bytes()),
            |buffer| {
                buffer.extend_from_slice(value.unwrap_or_default());
                Ok(value.is_some())
            },
        );
        let Ok(()) = written;
    }

    /// Appends all of `other` (made with the same table) and leaves it empty, its memory kept.
    pub fn append(&mut self, other: &mut Self) {
        let shift = self.buffer.len();
        self.buffer.append(&mut other.buffer);
        self.entries.extend(other.entries.drain(..).map(|entry| Entry { start: entry.start + shift, ..entry }));
    }

    /// Removes all records and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.entries.clear();
    }

    /// The records, in the order in which they were emitted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Output<'_>> {
        self.entries.iter().map(|entry| self.output(entry))
    }

    fn output(&self, entry: &Entry) -> Output<'_> {
        let mut at = entry.start;
        let mut part = |length: u32| {
            let from = at;
            at += length as usize;
            &self.buffer[from..at]
        };
        Output {
            topic: &self.topics[usize::from(entry.topic)],
            partition: entry.partition,
            timestamp: entry.timestamp,
            key: entry.key.map(&mut part),
            headers: part(entry.headers),
            value: entry.value.map(&mut part),
        }
    }
}

#[cfg(test)]
mod tests;
