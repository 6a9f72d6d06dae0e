//! A member's view of the log: reads chunks, takes note of ownership.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tidemill_core::code::Coded;
use tidemill_core::ports::{Log, LogEvent, Start, Store, Subscription, records_lost};
use tidemill_core::record::{Record, RecordBatch, TopicPartition};

use crate::broker::{Shared, offset_at};
use crate::chunk::{Chunk, Cursor};
use crate::layout;
use crate::topics::{Partition, Signal, Topic, damaged};

/// One partition that is being read.
struct Reader {
    source: TopicPartition,
    topic: Arc<Topic>,
    /// The offset of the next record.
    position: u64,
    chunk: Option<Cursor>,
    paused: bool,
}

/// One member of a group.
pub(crate) struct Member {
    shared: Arc<Shared>,
    subscription: Subscription,
    signal: Arc<Signal>,
    readers: Vec<Reader>,
    /// The reader that comes first in the next poll.
    first: usize,
    /// Rings when a drain of the group is over.
    alarm: Option<BoxFuture<'static, ()>>,
}

impl Member {
    /// Joins the group.
    pub(crate) fn join(shared: Arc<Shared>, subscription: Subscription) -> Result<Self, Coded> {
        let mut inputs = Vec::new();
        for topic in &subscription.topics {
            let partitions = shared.ledger.topics.need(topic)?.partitions.len();
            inputs.push((Arc::clone(topic), u32::try_from(partitions).expect("created with a 32-bit number")));
        }
        let signal = Arc::new(Signal::default());
        shared.groups.join(&subscription, inputs, Arc::clone(&signal), shared.ledger.now())?;
        Ok(Self { shared, subscription, signal, readers: Vec::new(), first: 0, alarm: None })
    }

    /// Looks at the group's news: an event for this member, drains that are over.
    fn news(&mut self, cx: &mut Context<'_>) -> Option<LogEvent> {
        let rang = self.alarm.as_mut().is_some_and(|alarm| alarm.as_mut().poll(cx).is_ready());
        if !self.signal.take_news() && !rang {
            return None;
        }
        let (groups, group) = (&self.shared.groups, &self.subscription.group);
        groups.enforce(group, self.shared.ledger.now());
        self.alarm = groups.first_deadline(group).map(|deadline| {
            let clock = self.shared.ledger.clock();
            clock.sleep(deadline.since(clock.now()))
        });
        // Polled once, so that it wakes this task.
        if self.alarm.as_mut().is_some_and(|alarm| alarm.as_mut().poll(cx).is_ready()) {
            self.signal.tell();
        }
        let event = groups.next_event(group, &self.subscription.member)?;
        // There may be more.
        self.signal.tell();
        if let LogEvent::Revoked { partitions, .. } | LogEvent::Lost { partitions } = &event {
            self.stop_reading(partitions);
        }
        Some(event)
    }

    fn stop_reading(&mut self, partitions: &[TopicPartition]) {
        for reader in self.readers.extract_if(.., |reader| partitions.contains(&reader.source)) {
            reader.bounds().remove_reader(&self.signal);
        }
        // Fewer readers are left than the next turn may have counted on.
        self.first = 0;
    }

    /// Takes up to `room` bytes of records: of each partition one chunk at most, so that all have their turn.
    fn read(&mut self, room: usize, into: &mut Vec<RecordBatch>) -> Result<bool, Coded> {
        let store = &*self.shared.ledger.store;
        let (mut left, before) = (room, into.len());
        let (earlier, later) = self.readers.split_at_mut(self.first);
        for reader in later.iter_mut().chain(earlier).filter(|reader| !reader.paused) {
            if left == 0 {
                break;
            }
            let records = reader.take(store, &mut left)?;
            if !records.is_empty() {
                into.push(RecordBatch { source: reader.source.clone(), records, next: reader.position });
            }
        }
        self.first = if self.first + 1 < self.readers.len() { self.first + 1 } else { 0 };
        Ok(into.len() > before)
    }
}

impl Reader {
    fn bounds(&self) -> &Partition {
        &self.topic.partitions[self.source.partition as usize]
    }

    /// Records of one chunk, until `left` bytes are used up.
    fn take(&mut self, store: &dyn Store, left: &mut usize) -> Result<Vec<Record>, Coded> {
        if self.position >= self.bounds().end() {
            return Ok(Vec::new());
        }
        let mut chunk = match self.chunk.take() {
            Some(chunk) => chunk,
            None => self.find(store)?,
        };
        let mut records = Vec::with_capacity(usize::try_from(chunk.end() - chunk.offset()).unwrap_or_default());
        while *left > 0 {
            match chunk.next() {
                Ok(Some(record)) => {
                    *left = left.saturating_sub(record.size().max(1));
                    records.push(record);
                }
                Ok(None) => break,
                Err(_) => return Err(self.damage(chunk.offset())),
            }
        }
        self.position = chunk.offset();
        if chunk.offset() < chunk.end() {
            self.chunk = Some(chunk);
        }
        Ok(records)
    }

    /// The chunk that holds the next record, at that record.
    fn find(&self, store: &dyn Store) -> Result<Cursor, Coded> {
        let (topic, partition, position) = (self.topic.number, self.source.partition, self.position);
        // Nearly always a reader stands at the beginning of a chunk.
        let found = match store.get(&layout::chunk(topic, partition, position))? {
            Some(bytes) => Some((position, bytes)),
            None => store
                .last(&layout::chunks_up_to(topic, partition, position))?
                .and_then(|(key, bytes)| layout::base_of(&key).map(|base| (base, bytes))),
        };
        let (base, bytes) = found.ok_or_else(|| self.lost())?;
        let chunk = Chunk::read(bytes).filter(|chunk| base + chunk.count() > position);
        let mut cursor = chunk.ok_or_else(|| self.damage(position))?.cursor(base);
        while cursor.offset() < position {
            cursor.next().map_err(|_| self.damage(position))?;
        }
        Ok(cursor)
    }

    fn damage(&self, offset: u64) -> Coded {
        damaged(format!("the record at {} cannot be read", self.source.at(offset)))
    }

    fn lost(&self) -> Coded {
        records_lost(&self.source, self.position, self.bounds().start())
    }
}

/// Records of a partition from an offset on, for whoever is no member.
pub(crate) fn records(
    shared: &Shared,
    partition: &TopicPartition,
    from: u64,
    limit: usize,
) -> Result<RecordBatch, Coded> {
    let topic = shared.ledger.topics.need(&partition.topic)?;
    let position = from.max(topic.bounds(partition)?.start());
    let mut reader = Reader { source: partition.clone(), topic, position, chunk: None, paused: false };
    let mut records = Vec::new();
    while records.len() < limit {
        let chunk = reader.take(&*shared.ledger.store, &mut { usize::MAX })?;
        if chunk.is_empty() {
            break;
        }
        records.extend(chunk);
    }
    // A chunk is read whole.
    let next = records.get(limit).map_or(reader.position, |record| record.offset);
    records.truncate(limit);
    Ok(RecordBatch { source: partition.clone(), records, next })
}

impl Log for Member {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        into: &mut Vec<RecordBatch>,
    ) -> Poll<Result<Option<LogEvent>, Coded>> {
        // Registered first: what happens from here on wakes the task, what happened before is seen below.
        self.signal.listen(cx.waker());
        if let Err(cause) = self.shared.ledger.check() {
            return Poll::Ready(Err(cause));
        }
        if let Some(event) = self.news(cx) {
            return Poll::Ready(Ok(Some(event)));
        }
        match self.read(room, into) {
            Ok(true) => Poll::Ready(Ok(None)),
            Ok(false) => Poll::Pending,
            Err(cause) => Poll::Ready(Err(cause)),
        }
    }

    fn start(&mut self, partition: &TopicPartition, from: Start) -> Result<(), Coded> {
        let topic = self.shared.ledger.topics.need(&partition.topic)?;
        let bounds = topic.bounds(partition)?;
        let position = match from {
            Start::Offset(offset) if offset < bounds.start() => {
                return Err(records_lost(partition, offset, bounds.start()));
            }
            Start::Offset(offset) => offset,
            Start::Earliest => bounds.start(),
            Start::Latest => bounds.end(),
            Start::Time(at) => {
                let store = &*self.shared.ledger.store;
                offset_at(store, &topic, partition, at)?.unwrap_or_else(|| bounds.end())
            }
        };
        bounds.add_reader(&self.signal);
        self.readers.retain(|reader| reader.source != *partition);
        self.readers.push(Reader { source: partition.clone(), topic, position, chunk: None, paused: false });
        self.first = 0;
        self.signal.wake();
        Ok(())
    }

    fn pause(&mut self, partition: &TopicPartition) {
        for reader in self.readers.iter_mut().filter(|reader| reader.source == *partition) {
            reader.paused = true;
        }
    }

    fn resume(&mut self, partition: &TopicPartition) {
        for reader in self.readers.iter_mut().filter(|reader| reader.source == *partition) {
            reader.paused = false;
        }
        self.signal.wake();
    }

    fn release(&mut self, partitions: &[TopicPartition]) {
        self.stop_reading(partitions);
        let now = self.shared.ledger.now();
        self.shared.groups.release(&self.subscription.group, &self.subscription.member, partitions, now);
    }

    fn leave(&mut self) {
        let now = self.shared.ledger.now();
        self.shared.groups.leave(&self.subscription.group, &self.subscription.member, now);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.bounds().remove_reader(&self.signal);
        }
        let now = self.shared.ledger.now();
        self.shared.groups.remove(&self.subscription.group, &self.subscription.member, now);
    }
}
