//! Topics and where their partitions begin and end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::task::AtomicWaker;
use tidemill_core::code::{Code, Coded};
use tidemill_core::internal::DEAD_LETTERS;
use tidemill_core::ports::{Change, Durability, Store, TopicInfo};
use tidemill_core::record::TopicPartition;

use crate::chunk::Chunk;
use crate::layout;

/// How a member is told that there is something for it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    waker: AtomicWaker,
    /// Whether its group has news for it, beside records.
    news: AtomicBool,
}

impl Signal {
    /// Who polls next is woken.
    pub(crate) fn listen(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// There may be records.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// The group has news.
    pub(crate) fn tell(&self) {
        self.news.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the group has news since this was asked last.
    pub(crate) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }
}

/// One partition: its bounds, and who reads it.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    start: AtomicU64,
    end: AtomicU64,
    readers: Mutex<Vec<Arc<Signal>>>,
}

impl Partition {
    /// The offset of the oldest record that is kept.
    pub(crate) fn start(&self) -> u64 {
        self.start.load(Ordering::Acquire)
    }

    /// One past the newest record.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Records before `start` are gone.
    pub(crate) fn cut(&self, start: u64) {
        self.start.store(start, Ordering::Release);
    }

    /// There are records up to `end`.
    pub(crate) fn grow(&self, end: u64) {
        self.end.store(end, Ordering::Release);
        for reader in self.lock_readers().iter() {
            reader.wake();
        }
    }

    /// From now on this reader is woken when the partition grows.
    pub(crate) fn add_reader(&self, reader: &Arc<Signal>) {
        let mut readers = self.lock_readers();
        if !readers.iter().any(|known| Arc::ptr_eq(known, reader)) {
            readers.push(Arc::clone(reader));
        }
    }

    pub(crate) fn remove_reader(&self, reader: &Arc<Signal>) {
        self.lock_readers().retain(|known| !Arc::ptr_eq(known, reader));
    }

    fn lock_readers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Signal>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Under which its chunks are stored.
    pub(crate) number: u32,
    pub(crate) id: Arc<str>,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    /// The bounds of a partition of this topic.
    pub(crate) fn bounds(&self, partition: &TopicPartition) -> Result<&Partition, Coded> {
        self.partitions.get(partition.partition as usize).ok_or_else(|| {
            let message = format!("{partition} does not exist; the topic has {} partitions", self.partitions.len());
            Coded::new(Code::TOPIC_MISSING, message)
        })
    }
}

/// All topics of a broker.
#[derive(Debug)]
pub(crate) struct Catalogue {
    /// What topic ids begin with.
    id: Arc<str>,
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
}

impl Catalogue {
    /// Reads the topics of a store, and where their partitions begin and end.
    pub(crate) fn open(store: &dyn Store, id: Arc<str>) -> Result<Self, Coded> {
        let mut topics = BTreeMap::new();
        for (key, value) in store.scan(&layout::topics(), usize::MAX)? {
            let read = layout::topic_name(&key).zip(read_topic(&value));
            let (name, (number, partitions)) =
                read.ok_or_else(|| damaged("the entry of a topic cannot be read".into()))?;
            let topic = Topic { number, id: topic_id(&id, number), partitions: bounds(store, number, partitions)? };
            topics.insert(Arc::from(name), Arc::new(topic));
        }
        Ok(Self { id, topics: RwLock::new(topics) })
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The topic, which somebody relies on.
    pub(crate) fn need(&self, name: &str) -> Result<Arc<Topic>, Coded> {
        self.get(name).ok_or_else(|| Coded::new(Code::TOPIC_MISSING, format!("topic {name} does not exist")))
    }

    /// A copy of the list, for whoever goes through all.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Those whose records grow old: dead letters stay until somebody decides about them.
    pub(crate) fn aging(&self) -> Vec<Arc<Topic>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.iter().filter(|(name, _)| !name.ends_with(DEAD_LETTERS)).map(|(_, topic)| Arc::clone(topic)).collect()
    }

    pub(crate) fn describe(&self, name: &str) -> Option<TopicInfo> {
        let topic = self.get(name)?;
        let partitions = u32::try_from(topic.partitions.len()).expect("created with a 32-bit number");
        Some(TopicInfo { partitions, id: Arc::clone(&topic.id) })
    }

    /// Adds a topic. One that exists with as many partitions is fine.
    pub(crate) fn create(&self, store: &dyn Store, name: &str, partitions: u32) -> Result<(), Coded> {
        if name.is_empty() || partitions == 0 {
            let message = format!("topic {name:?} needs a name and at least one partition");
            return Err(Coded::new(Code::BAD_VALUE, message));
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            let exist = topic.partitions.len();
            if exist == partitions as usize {
                return Ok(());
            }
            let message = format!("topic {name} exists with {exist} partitions, not with {partitions}");
            return Err(Coded::new(Code::TOPIC_EXISTS, message));
        }
        let number = topics.values().map(|topic| topic.number + 1).max().unwrap_or(0);
        let value = [number.to_be_bytes(), partitions.to_be_bytes()].concat();
        let change = Change { key: layout::topic(name), value: Some(value.into()) };
        store.apply(vec![change], Durability::Synced)?;
        let partitions = std::iter::repeat_with(Partition::default).take(partitions as usize).collect();
        topics.insert(name.into(), Arc::new(Topic { number, id: topic_id(&self.id, number), partitions }));
        Ok(())
    }
}

fn topic_id(id: &str, number: u32) -> Arc<str> {
    format!("{id}.{number}").into()
}

fn read_topic(value: &[u8]) -> Option<(u32, u32)> {
    let (number, partitions) = value.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), u32::from_be_bytes(partitions.try_into().ok()?)))
}

/// Reads where the partitions of a topic begin and end.
fn bounds(store: &dyn Store, topic: u32, partitions: u32) -> Result<Vec<Partition>, Coded> {
    let mut read = Vec::new();
    for partition in 0..partitions {
        let range = layout::chunks(topic, partition);
        let bounds = Partition::default();
        if let (Some((first, _)), Some((last, chunk))) = (store.scan(&range, 1)?.pop(), store.last(&range)?) {
            let bases = layout::base_of(&first).zip(layout::base_of(&last)).zip(Chunk::read(chunk));
            let ((first, last), chunk) =
                bases.ok_or_else(|| damaged(format!("the newest chunk of partition {partition} cannot be read")))?;
            bounds.cut(first);
            bounds.grow(last + chunk.count());
        }
        read.push(bounds);
    }
    Ok(read)
}

/// What is stored is not what was written.
pub(crate) fn damaged(message: String) -> Coded {
    Coded::new(Code::DAMAGED, message)
}
