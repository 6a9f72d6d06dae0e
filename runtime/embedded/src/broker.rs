//! The embedded broker: what members, publishers and readers of one process share.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tidemill_core::code::Coded;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Answer, Blocking, Broker, Clock, Committing, Entry, KeyRange, Lag, Member as Membership, Sender, Store,
    Subscription, TopicInfo, Topics,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::{RecordBatch, TopicPartition};
use tidemill_core::time::Timestamp;

use crate::away::Away;
use crate::chunk::Chunk;
use crate::commits::Commits;
use crate::directory::{Directory, Holds};
use crate::groups::Groups;
use crate::layout;
use crate::ledger::Ledger;
use crate::member::{self, Member};
use crate::sender::EmbeddedSender;
use crate::settings::{Settings, Sync};
use crate::store;
use crate::topics::{Catalogue, Topic, damaged};

/// What the topic ids of a log in memory begin with.
const MEMORY: &str = "memory";

/// What everything of one broker shares.
pub(crate) struct Shared {
    pub(crate) ledger: Ledger,
    pub(crate) groups: Groups,
    /// How often each sender's name was taken.
    names: Mutex<BTreeMap<Arc<str>, u64>>,
    away: Away,
    /// Held for as long as the store is open.
    _directory: Option<Directory>,
}

impl Shared {
    /// Takes a sender's name from whoever had it. Tells how often it was taken now.
    pub(crate) fn take_name(&self, name: &Arc<str>) -> u64 {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = names.entry(Arc::clone(name)).or_default();
        *taken += 1;
        *taken
    }

    /// Whether nobody has taken the name since.
    pub(crate) fn holds_name(&self, name: &str, taken: u64) -> bool {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(name) == Some(&taken)
    }

    /// Runs a job away from the caller's thread, where that is needed. It runs whether or not anybody waits for it.
    pub(crate) fn away<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Coded>> {
        self.away.run(job)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What was answered survives the process anyway; this is for the machine, and a failure has nobody to tell.
        let _ = self.ledger.store.sync();
    }
}

/// Topics, groups, state and progress in one process.
///
/// One process owns a directory; several services share it. Everything that was answered is durable as
/// [`Settings::sync`] says.
pub struct Embedded {
    shared: Arc<Shared>,
}

impl Embedded {
    /// A log in memory, which ends with the process. Commits happen in line, so that runs repeat.
    pub fn memory(settings: &Settings, clock: Arc<dyn Clock>) -> Arc<Self> {
        let shared = Self::shared(store::memory(), MEMORY.into(), settings, clock, None, None);
        Arc::new(Self { shared: Arc::new(shared.expect("an empty store in memory can be read")) })
    }

    /// Opens a directory, or makes one. What is not ours, damaged, of another format or in use is refused.
    pub fn open(
        path: &Path,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        blocking: Arc<dyn Blocking>,
    ) -> Result<Arc<Self>, Coded> {
        let (directory, store) = Directory::open(path, Holds::Log, settings)?;
        let id = directory.id().into();
        let shared = Arc::new(Self::shared(store, id, settings, clock, Some(blocking), Some(directory))?);
        if let Sync::Interval(interval) = settings.sync {
            sync_every(interval, Arc::downgrade(&shared));
        }
        Ok(Arc::new(Self { shared }))
    }

    fn shared(
        store: Arc<dyn Store>,
        id: Arc<str>,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        blocking: Option<Arc<dyn Blocking>>,
        directory: Option<Directory>,
    ) -> Result<Shared, Coded> {
        let topics = Catalogue::open(&*store, id)?;
        let chunk_bytes = if directory.is_some() { settings.store.chunk_bytes() } else { store::MEMORY_CHUNK_BYTES };
        let ledger = Ledger::new(store, topics, clock, settings.sync, settings.retention, chunk_bytes)?;
        Ok(Shared {
            ledger,
            groups: Groups::new(settings.drain),
            names: Mutex::default(),
            away: Away(blocking),
            _directory: directory,
        })
    }
}

/// Brings what was written to the disk again and again, until the broker is gone.
#[expect(
    clippy::disallowed_methods,
    reason = "a store on a disk has a thread of its own for this; nothing waits for it"
)]
fn sync_every(interval: Duration, shared: Weak<Shared>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(interval);
            let Some(shared) = shared.upgrade() else { return };
            // A store that cannot sync refuses the next write, and that is where the reason is told.
            let _ = shared.ledger.store.sync();
        }
    });
}

#[async_trait]
impl Broker for Embedded {
    fn join(&self, subscription: Subscription) -> Result<Membership, Coded> {
        let (group, member) = (Arc::clone(&subscription.group), Arc::clone(&subscription.member));
        let log = Box::new(Member::join(Arc::clone(&self.shared), subscription)?);
        let commits = Committing::Batch(Rc::new(Commits { shared: Arc::clone(&self.shared), group, member }));
        Ok(Membership { log, commits })
    }

    fn topics(&self) -> Arc<dyn Topics> {
        Arc::clone(&self.shared) as Arc<dyn Topics>
    }

    async fn publish(&self, outputs: Outputs) -> Result<(), Coded> {
        let shared = Arc::clone(&self.shared);
        let answer = self.shared.away(move || match shared.ledger.pack(&outputs) {
            Ok(appends) => shared.ledger.write(appends, Vec::new(), || Ok(())),
            Err(cause) => Answer::NotCommitted(cause),
        });
        match answer.await? {
            Answer::Committed => Ok(()),
            Answer::NotCommitted(cause) | Answer::Refused(cause) | Answer::Fenced(cause) | Answer::Unknown(cause) => {
                Err(cause)
            }
        }
    }

    fn sender(&self, name: &str) -> Result<Box<dyn Sender>, Coded> {
        Ok(Box::new(EmbeddedSender { shared: Arc::clone(&self.shared), name: name.into(), taken: 0 }))
    }

    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        let mut read = Vec::new();
        for name in topics {
            let topic = self.shared.ledger.topics.need(name)?;
            for number in (0..).take(topic.partitions.len()) {
                let partition = TopicPartition::new(Arc::clone(name), number);
                let progress = self.shared.progress(group, &partition)?.unwrap_or_default();
                read.push((Arc::clone(&topic), partition, progress));
            }
        }
        // A commit shows in the progress a moment before its outputs show in the ends.
        self.shared.ledger.settle();
        let lag = |(topic, partition, progress): (Arc<Topic>, TopicPartition, Progress)| {
            let bounds = &topic.partitions[partition.partition as usize];
            // Read after the progress: both only grow.
            let ahead = bounds.end().saturating_sub(progress.next().max(bounds.start()));
            Lag { partition, records: ahead + progress.undone() as u64 }
        };
        Ok(read.into_iter().map(lag).collect())
    }

    async fn shards(&self, group: &str) -> Result<u32, Coded> {
        let entries = self.shared.ledger.store.scan(&layout::progress_of(group), usize::MAX)?;
        let partitions = entries.iter().filter_map(|(key, _)| layout::partition_of(key));
        Ok(partitions.max().map_or(0, |last| last + 1))
    }

    async fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        self.shared.states(group, shard, range, limit)
    }
}

#[async_trait]
impl Topics for Shared {
    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, Coded> {
        Ok(self.ledger.topics.describe(topic))
    }

    async fn create(&self, topic: &str, partitions: u32) -> Result<(), Coded> {
        self.ledger.topics.create(&*self.ledger.store, topic, partitions)
    }

    async fn offsets(&self, partition: &TopicPartition) -> Result<(u64, u64), Coded> {
        let topic = self.ledger.topics.need(&partition.topic)?;
        let bounds = topic.bounds(partition)?;
        Ok((bounds.start(), bounds.end()))
    }

    async fn offset_at(&self, partition: &TopicPartition, at: Timestamp) -> Result<Option<u64>, Coded> {
        let topic = self.ledger.topics.need(&partition.topic)?;
        topic.bounds(partition)?;
        offset_at(&*self.ledger.store, &topic, partition, at)
    }

    async fn records(&self, partition: &TopicPartition, from: u64, limit: usize) -> Result<RecordBatch, Coded> {
        member::records(self, partition, from, limit)
    }
}

/// The first offset whose record has this timestamp or a later one. Looks through the chunks from the oldest.
pub(crate) fn offset_at(
    store: &dyn Store,
    topic: &Topic,
    partition: &TopicPartition,
    at: Timestamp,
) -> Result<Option<u64>, Coded> {
    /// Chunks looked at in one read.
    const PAGE: usize = 16;
    let mut from = 0;
    loop {
        let page = store.scan(&layout::chunks_from(topic.number, partition.partition, from), PAGE)?;
        if page.is_empty() {
            return Ok(None);
        }
        for (key, bytes) in page {
            let unreadable = || damaged(format!("a chunk of {partition} cannot be read"));
            let (base, chunk) = layout::base_of(&key).zip(Chunk::read(bytes)).ok_or_else(unreadable)?;
            let mut cursor = chunk.cursor(base);
            while let Some(record) = cursor.next().map_err(|_| unreadable())? {
                if record.timestamp >= at {
                    return Ok(Some(record.offset));
                }
            }
            from = cursor.end();
        }
    }
}
