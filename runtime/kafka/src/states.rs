//! The local store of a group's shards: a cache of the changelog, with the position up to which it certainly holds it.
//!
//! The position is allowed to lag: what was written after it is read again, and ends in the same values.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::code::Coded;
use tidemill_core::headers::{read_varint, write_varint};
use tidemill_core::ports::{Change, Durability, Entry, Generation, KeyRange, Store};
use tidemill_core::progress::Progress;
use tidemill_core::time::Timestamp;

use crate::broker::lock;
use crate::changelog::{self, LOCAL};

/// A cache that stood still for longer may have missed that a key was removed: the changelog forgets removals after its
/// `delete.retention.ms`, a day unless set. Half of it leaves room for clocks that differ.
const LONGEST_REST: Duration = Duration::from_hours(12);
/// How often a shard's mark is moved; after a crash, at most so much of the changelog is read again.
const MARK_EVERY: Duration = Duration::from_secs(10);
/// Entries removed at a time.
const PAGE: usize = 10_000;

/// Up to where a shard's cache certainly holds the changelog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The changelog's own id.
    pub(crate) topic_id: String,
    /// Everything before this offset is in the cache.
    pub(crate) position: u64,
    /// When that was so.
    pub(crate) at: Timestamp,
}

impl Mark {
    fn encode(&self) -> Bytes {
        let mut value = Vec::new();
        write_varint(&mut value, usize::try_from(self.position).expect("64-bit machine"));
        value.extend_from_slice(&self.at.as_millis().to_be_bytes());
        value.extend_from_slice(self.topic_id.as_bytes());
        value.into()
    }

    fn decode(mut value: &[u8]) -> Option<Self> {
        let position = read_varint(&mut value)? as u64;
        let (at, id) = value.split_first_chunk::<8>()?;
        let topic_id = std::str::from_utf8(id).ok()?.to_owned();
        Some(Self { topic_id, position, at: Timestamp::from_millis(i64::from_be_bytes(*at)) })
    }
}

/// The shards of one group in one process.
pub(crate) struct States {
    store: Arc<dyn Store>,
    loaded: Mutex<BTreeMap<u32, Loaded>>,
    turns: Mutex<BTreeMap<u32, Turn>>,
}

/// Who holds it restores the shard.
pub(crate) type Turn = Arc<Mutex<()>>;

/// A shard that was loaded.
struct Loaded {
    /// Under which ownership: what an earlier one still writes is not the shard's any more.
    generation: Generation,
    /// When its mark was set last.
    marked: Timestamp,
}

impl States {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, loaded: Mutex::default(), turns: Mutex::default() }
    }

    fn key(shard: u32, key: &[u8]) -> Bytes {
        [&shard.to_be_bytes(), key].concat().into()
    }

    fn shard(shard: u32) -> KeyRange {
        KeyRange::prefix(Bytes::copy_from_slice(&shard.to_be_bytes()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while a shard is restored: a restore that nobody wants any more may still be at work when the next one begins,
    /// and what it read is older.
    pub(crate) fn turn(&self, shard: u32) -> Turn {
        Arc::clone(lock(&self.turns).entry(shard).or_default())
    }

    /// The shard belongs to this ownership from now on.
    pub(crate) fn own(&self, shard: u32, generation: Generation, now: Timestamp) {
        self.lock().insert(shard, Loaded { generation, marked: now });
    }

    /// Whether a shard's mark was not set for a while; it counts as set from now on.
    pub(crate) fn mark_is_due(&self, shard: u32, now: Timestamp) -> bool {
        let mut all = self.lock();
        let Some(loaded) = all.get_mut(&shard).filter(|loaded| now.since(loaded.marked) >= MARK_EVERY) else {
            return false;
        };
        loaded.marked = now;
        true
    }

    /// Applies what a committed batch changed. One of an ownership that is over changes nothing: its successor has read it
    /// from the changelog.
    pub(crate) fn committed(&self, shard: u32, generation: Generation, changes: Vec<Change>) -> Result<(), Coded> {
        // Held meanwhile, so that no successor begins between the look and the write.
        let all = self.lock();
        let is_owner = all.get(&shard).is_some_and(|loaded| loaded.generation == generation);
        if is_owner { self.apply(shard, changes) } else { Ok(()) }
    }

    /// Applies changes whose keys are those of the changelog.
    pub(crate) fn apply(&self, shard: u32, changes: Vec<Change>) -> Result<(), Coded> {
        let placed = |change: Change| Change { key: Self::key(shard, &change.key), value: change.value };
        self.store.apply(changes.into_iter().map(placed).collect(), Durability::Buffered)
    }

    /// Where the cache of a shard stands, if it is of this changelog and can be gone on with.
    pub(crate) fn mark(&self, shard: u32, topic_id: &str, end: u64, now: Timestamp) -> Result<Option<Mark>, Coded> {
        let value = self.store.get(&Self::key(shard, &[LOCAL]))?;
        let mark = value.and_then(|value| Mark::decode(&value));
        Ok(mark.filter(|mark| mark.topic_id == topic_id && mark.position <= end && now.since(mark.at) < LONGEST_REST))
    }

    /// Remembers where the cache stands.
    pub(crate) fn set_mark(&self, shard: u32, mark: &Mark) -> Result<(), Coded> {
        self.apply(shard, vec![Change { key: Bytes::from_static(&[LOCAL]), value: Some(mark.encode()) }])
    }

    /// Removes everything of a shard.
    pub(crate) fn clear(&self, shard: u32) -> Result<(), Coded> {
        let range = Self::shard(shard);
        loop {
            let page = self.store.scan(&range, PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            let removals = page.into_iter().map(|(key, _)| Change { key, value: None }).collect();
            self.store.apply(removals, Durability::Buffered)?;
        }
    }

    /// The progress in an input topic that stands beside the state, with the id of the topic it is of.
    pub(crate) fn progress(&self, shard: u32, topic: &str) -> Result<Option<(String, Progress)>, Coded> {
        let value = self.store.get(&Self::key(shard, &changelog::progress_key(topic)))?;
        Ok(value.and_then(|value| changelog::read_progress(&value).map(|(id, progress)| (id.to_owned(), progress))))
    }

    /// The value of a state key.
    pub(crate) fn get(&self, shard: u32, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.store.get(&Self::key(shard, &changelog::state_key(key)))
    }

    /// The first entries of a range of state keys.
    pub(crate) fn scan(&self, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        let key = |key: &Bytes| Self::key(shard, &changelog::state_key(key));
        let all = KeyRange::prefix(key(&Bytes::new()));
        let start = match &range.start {
            Bound::Included(start) => Bound::Included(key(start)),
            Bound::Excluded(start) => Bound::Excluded(key(start)),
            Bound::Unbounded => all.start,
        };
        let end = match &range.end {
            Bound::Included(end) => Bound::Included(key(end)),
            Bound::Excluded(end) => Bound::Excluded(key(end)),
            Bound::Unbounded => all.end,
        };
        let found = KeyRange { start, end };
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let entries = self.store.scan(&found, limit)?;
        let prefix = size_of::<u32>();
        let bare = |(key, value): Entry| Some((changelog::read_state_key(&key.slice(prefix..))?, value));
        Ok(entries.into_iter().filter_map(bare).collect())
    }
}
