//! Reads the partitions of one member: each has a queue of its own, so that one that is paused costs and disturbs nobody.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tidemill_core::code::Coded;
use tidemill_core::headers::Headers;
use tidemill_core::ports::Start;
use tidemill_core::record::{Record, RecordBatch, TopicPartition};
use tidemill_core::time::Timestamp;

use crate::broker::Shared;
use crate::client::Plain;
use crate::context::{Quiet, hear};
use crate::failure::Failure;
use crate::native::{Message, Queue, Signal};

/// A partition whose first offset is being looked up.
type Locating = BoxFuture<'static, Result<Option<u64>, Coded>>;

/// One partition that is being read.
struct Part {
    source: TopicPartition,
    queue: Queue<Quiet>,
    /// What was taken from the queue and not yet handed out.
    waiting: VecDeque<Message>,
    paused: bool,
    /// The offset that was asked for, for the error that it is gone.
    wanted: u64,
    /// One past what was handed out.
    next: u64,
    locating: Option<Locating>,
}

/// The partitions of one member.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    client: Arc<Plain>,
    signal: Arc<Signal>,
    parts: Vec<Part>,
    /// The part that comes first in the next poll.
    first: usize,
}

/// A list of one partition.
pub(crate) fn list_of(partition: &TopicPartition, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    let number = number(partition);
    list.add_partition_offset(&partition.topic, number, offset)
        .expect("offsets from 0 on, and the named ones, are valid");
    list
}

/// A partition's number as librdkafka counts.
pub(crate) fn number(partition: &TopicPartition) -> i32 {
    i32::try_from(partition.partition).unwrap_or(i32::MAX)
}

/// An offset as librdkafka counts.
pub(crate) fn offset(offset: u64) -> Offset {
    Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Plain>, signal: Arc<Signal>) -> Self {
        Self { shared, client, signal, parts: Vec::new(), first: 0 }
    }

    /// Begins to read a partition, again if it is being read.
    pub(crate) fn start(&mut self, partition: &TopicPartition, from: Start) -> Result<(), Coded> {
        self.stop(std::slice::from_ref(partition));
        let queue = Queue::open(&self.client, &partition.topic, number(partition), &self.signal);
        let mut part = Part {
            source: partition.clone(),
            queue,
            waiting: VecDeque::new(),
            paused: false,
            wanted: 0,
            next: 0,
            locating: None,
        };
        let begin = match from {
            Start::Offset(at) => {
                (part.wanted, part.next) = (at, at);
                Some(offset(at))
            }
            Start::Earliest => Some(Offset::Beginning),
            Start::Latest => Some(Offset::End),
            Start::Time(at) => {
                part.locating = Some(self.shared.locate(partition.clone(), at));
                self.signal.tell();
                None
            }
        };
        if let Some(begin) = begin {
            self.assign(partition, begin)?;
        }
        self.parts.push(part);
        Ok(())
    }

    fn assign(&self, partition: &TopicPartition, begin: Offset) -> Result<(), Coded> {
        let answer = self.client.incremental_assign(&list_of(partition, begin));
        answer.map_err(|error| Failure::from(error).coded(format!("reading of {partition} cannot begin")))
    }

    /// Takes what the client has to say beside records.
    pub(crate) fn hear(&self) {
        hear(&self.client);
    }

    /// Reads these partitions no more.
    pub(crate) fn stop(&mut self, partitions: &[TopicPartition]) {
        for part in self.parts.extract_if(.., |part| partitions.contains(&part.source)) {
            if part.locating.is_none()
                && let Err(error) = self.client.incremental_unassign(&list_of(&part.source, Offset::Invalid))
            {
                tracing::debug!(%error, partition = %part.source, "reading could not be ended");
            }
        }
        self.first = 0;
    }

    pub(crate) fn pause(&mut self, partition: &TopicPartition, paused: bool) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.source == *partition) {
            part.paused = paused;
        }
    }

    /// Takes up to about `room` bytes of records. Tells whether there was anything.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        into: &mut Vec<RecordBatch>,
    ) -> Result<bool, Coded> {
        self.locate(cx)?;
        let (mut left, before) = (room, into.len());
        let (earlier, later) = self.parts.split_at_mut(self.first);
        for part in later.iter_mut().chain(earlier) {
            if left == 0 {
                break;
            }
            if !part.paused && part.locating.is_none() && (!part.waiting.is_empty() || part.queue.may_have()) {
                let batch = part.take(&mut left).map_err(|code| self.shared.broken(&part.source, part.wanted, code))?;
                into.extend(batch);
            }
        }
        self.first = if self.first + 1 < self.parts.len() { self.first + 1 } else { 0 };
        if into.len() > before {
            self.shared.clients.reach.back();
        }
        Ok(into.len() > before)
    }

    /// Goes on with partitions whose first offset is being looked up.
    fn locate(&mut self, cx: &mut Context<'_>) -> Result<(), Coded> {
        for place in 0..self.parts.len() {
            let Some(locating) = &mut self.parts[place].locating else { continue };
            let Poll::Ready(found) = locating.as_mut().poll(cx) else { continue };
            let found = found?;
            let part = &mut self.parts[place];
            part.locating = None;
            let source = part.source.clone();
            if let Some(at) = found {
                (part.wanted, part.next) = (at, at);
            }
            self.assign(&source, found.map_or(Offset::End, offset))?;
        }
        Ok(())
    }
}

/// Where the parts of a record lie in the bytes of its batch.
struct Laid {
    offset: u64,
    timestamp: i64,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

fn lay(buffer: &mut Vec<u8>, bytes: &[u8]) -> Range<usize> {
    let start = buffer.len();
    buffer.extend_from_slice(bytes);
    start..buffer.len()
}

impl Part {
    /// Records until `left` bytes are used up. Their bytes are copied into one buffer for all: that is quicker than to count
    /// the owners of each record apart, and a record that is kept holds back none of the client's memory.
    fn take(&mut self, left: &mut usize) -> Result<Option<RecordBatch>, RDKafkaErrorCode> {
        if self.waiting.is_empty() {
            self.queue.take(Duration::ZERO, &mut self.waiting);
        }
        // A buffer that has to grow is copied, and copying is most of what is done here.
        let bytes: usize = self.waiting.iter().map(Message::size).sum();
        let mut buffer = Vec::with_capacity(bytes.min(*left));
        let (mut laid, mut next) = (Vec::with_capacity(self.waiting.len()), self.next);
        while *left > 0 {
            let Some(message) = self.waiting.pop_front() else { break };
            match message.error() {
                None => {}
                Some(RDKafkaErrorCode::PartitionEOF) => {
                    next = next.max(message.offset());
                    continue;
                }
                Some(code) if is_passing(code) => {
                    tracing::debug!(partition = %self.source, %code, "a fetch failed and is tried again");
                    continue;
                }
                Some(code) => return Err(code),
            }
            let before = buffer.len();
            let key = message.key().map(|key| lay(&mut buffer, key));
            let value = message.value().map(|value| lay(&mut buffer, value));
            let start = buffer.len();
            message.write_headers(&mut buffer);
            let headers = start..buffer.len();
            *left = left.saturating_sub((buffer.len() - before).max(1));
            next = message.offset() + 1;
            laid.push(Laid { offset: message.offset(), timestamp: message.timestamp(), key, value, headers });
        }
        if next == self.next && laid.is_empty() {
            return Ok(None);
        }
        self.next = next;
        let bytes = Bytes::from(buffer);
        let record = |laid: Laid| Record {
            offset: laid.offset,
            timestamp: Timestamp::from_millis(laid.timestamp),
            key: laid.key.map(|range| bytes.slice(range)),
            value: laid.value.map(|range| bytes.slice(range)),
            headers: Headers::from_bytes(bytes.slice(laid.headers)),
        };
        let records = laid.into_iter().map(record).collect();
        Ok(Some(RecordBatch { source: self.source.clone(), records, next }))
    }
}

/// Whether the client goes on by itself after this.
fn is_passing(code: RDKafkaErrorCode) -> bool {
    Failure::new(code, "").is_absence()
}
