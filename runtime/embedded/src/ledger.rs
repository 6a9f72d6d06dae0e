//! The ledger: the only place that writes. It gives offsets out and applies chunks, state and progress in one batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tidemill_core::code::Coded;
use tidemill_core::outputs::{Output, Outputs};
use tidemill_core::ports::{Answer, Change, Clock, Durability, Store};
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;

use crate::chunk::{Builder, Chunk};
use crate::layout;
use crate::settings::{Retention, Sync};
use crate::topics::{Catalogue, Topic};

/// How often the old ends of all partitions are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Chunks for one partition that have no offsets yet.
struct Append {
    topic: Arc<Topic>,
    partition: u32,
    full: Vec<Chunk>,
    last: Builder,
}

/// Records of one batch, packed for their partitions.
pub(crate) struct Appends(Vec<Append>);

/// What the one who writes knows.
#[derive(Default)]
struct Writer {
    /// When the old ends were looked at last.
    swept: Option<Timestamp>,
    /// Bytes of each partition by topic number; filled where retention counts them.
    bytes: BTreeMap<(u32, u32), u64>,
}

/// The one who writes.
pub(crate) struct Ledger {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) topics: Catalogue,
    clock: Arc<dyn Clock>,
    sync: Sync,
    retention: Retention,
    /// A chunk that has reached this many bytes is full.
    chunk_bytes: usize,
    writer: Mutex<Writer>,
    /// Why nothing can be written any more.
    failed: OnceLock<Coded>,
}

impl Ledger {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        topics: Catalogue,
        clock: Arc<dyn Clock>,
        sync: Sync,
        retention: Retention,
        chunk_bytes: usize,
    ) -> Result<Self, Coded> {
        let mut writer = Writer::default();
        if retention.bytes.is_some() {
            writer.bytes = measure(&*store, &topics)?;
        }
        let (writer, failed) = (Mutex::new(writer), OnceLock::new());
        Ok(Self { store, topics, clock, sync, retention, chunk_bytes, writer, failed })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The failure after which nothing is written any more: what is durable has to be read by a new process.
    pub(crate) fn check(&self) -> Result<(), Coded> {
        self.failed.get().cloned().map_or(Ok(()), Err)
    }

    /// Packs records for their partitions; done before the ledger is held.
    pub(crate) fn pack(&self, outputs: &Outputs) -> Result<Appends, Coded> {
        let mut appends: Vec<Append> = Vec::new();
        let mut places: BTreeMap<(*const u8, u32), usize> = BTreeMap::new();
        for output in outputs.iter() {
            let place = *places.entry((output.topic.as_ptr(), output.partition)).or_insert(appends.len());
            if place == appends.len() {
                appends.push(self.append_for(&output)?);
            }
            let append = &mut appends[place];
            append.last.push(&output);
            if append.last.len() >= self.chunk_bytes {
                let chunk = append.last.finish(self.now());
                append.full.push(chunk);
            }
        }
        Ok(Appends(appends))
    }

    fn append_for(&self, output: &Output<'_>) -> Result<Append, Coded> {
        let topic = self.topics.need(output.topic)?;
        topic.bounds(&TopicPartition::new(Arc::clone(output.topic), output.partition))?;
        Ok(Append { topic, partition: output.partition, full: Vec::new(), last: Builder::new() })
    }

    /// Applies records and changes as one act, if `may` still says so when nobody else can write.
    pub(crate) fn write(
        &self,
        appends: Appends,
        mut changes: Vec<Change>,
        may: impl FnOnce() -> Result<(), Coded>,
    ) -> Answer {
        let now = self.now();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(cause) = self.check() {
            return Answer::NotCommitted(cause);
        }
        if let Err(cause) = may() {
            return Answer::Fenced(cause);
        }
        let mut grown = Vec::with_capacity(appends.0.len());
        for Append { topic, partition, full, mut last } in appends.0 {
            let (mut end, mut bytes) = (topic.partitions[partition as usize].end(), 0);
            let last = (!last.is_empty()).then(|| last.finish(now));
            for chunk in full.into_iter().chain(last) {
                let key = layout::chunk(topic.number, partition, end);
                end += chunk.count();
                bytes += chunk.as_bytes().len() as u64;
                changes.push(Change { key, value: Some(chunk.as_bytes().clone()) });
            }
            grown.push((topic, partition, end, bytes));
        }
        let durability = match self.sync {
            Sync::Commit => Durability::Synced,
            Sync::Interval(_) | Sync::Never => Durability::Buffered,
        };
        if let Err(cause) = self.store.apply(changes, durability) {
            // A store that still answers has refused the batch whole; one that does not has failed for good.
            return match self.store.get(layout::ID) {
                Ok(_) => Answer::NotCommitted(cause),
                Err(_) => self.fail(cause),
            };
        }
        for (topic, partition, end, bytes) in grown {
            topic.partitions[partition as usize].grow(end);
            if self.retention.bytes.is_some() {
                *writer.bytes.entry((topic.number, partition)).or_default() += bytes;
            }
        }
        match self.sweep(&mut writer, now) {
            Ok(()) => Answer::Committed,
            Err(cause) => self.fail(cause),
        }
    }

    /// Nobody knows what is durable of the last write, and nothing is written any more.
    fn fail(&self, cause: Coded) -> Answer {
        Answer::Unknown(self.failed.get_or_init(|| cause).clone())
    }

    /// Waits until the write under way, if there is one, has ended.
    pub(crate) fn settle(&self) {
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Deletes chunks that need not be kept.
    fn sweep(&self, writer: &mut Writer, now: Timestamp) -> Result<(), Coded> {
        let is_due = writer.swept.is_none_or(|swept| now.since(swept) >= SWEEP_EVERY);
        if self.retention == Retention::default() || !is_due {
            return Ok(());
        }
        writer.swept = Some(now);
        for topic in self.topics.aging() {
            for partition in 0..topic.partitions.len() {
                self.sweep_partition(writer, &topic, u32::try_from(partition).expect("a 32-bit number"), now)?;
            }
        }
        Ok(())
    }

    fn sweep_partition(&self, writer: &mut Writer, topic: &Topic, partition: u32, now: Timestamp) -> Result<(), Coded> {
        let bounds = &topic.partitions[partition as usize];
        let range = layout::chunks(topic.number, partition);
        // The second tells that the first is not the newest, and where the partition begins without it.
        while let [(key, oldest), (next, _)] = &self.store.scan(&range, 2)?[..] {
            let held = writer.bytes.entry((topic.number, partition)).or_default();
            let size = oldest.len() as u64;
            let is_old = self
                .retention
                .age
                .is_some_and(|age| Chunk::read(oldest.clone()).is_some_and(|chunk| now.since(chunk.appended()) > age));
            if !is_old && self.retention.bytes.is_none_or(|most| *held <= most) {
                break;
            }
            *held = held.saturating_sub(size);
            self.store.apply(vec![Change { key: key.clone(), value: None }], Durability::Buffered)?;
            bounds.cut(layout::base_of(next).unwrap_or_else(|| bounds.start()));
        }
        Ok(())
    }
}

/// The bytes of every partition.
fn measure(store: &dyn Store, topics: &Catalogue) -> Result<BTreeMap<(u32, u32), u64>, Coded> {
    /// Chunks looked at in one read.
    const PAGE: usize = 64;
    let mut bytes = BTreeMap::new();
    for topic in topics.all() {
        for partition in 0..u32::try_from(topic.partitions.len()).expect("a 32-bit number") {
            let total: &mut u64 = bytes.entry((topic.number, partition)).or_default();
            let mut from = 0;
            loop {
                let page = store.scan(&layout::chunks_from(topic.number, partition, from), PAGE)?;
                let Some(last) = page.last().and_then(|(key, _)| layout::base_of(key)) else { break };
                *total += page.iter().map(|(_, chunk)| chunk.len() as u64).sum::<u64>();
                from = last + 1;
            }
        }
    }
    Ok(bytes)
}
