//! How the log, states, progress and topics lie in one store, told apart by the first byte of a key.
//!
//! | key | value |
//! |---|---|
//! | `l`, topic number (4 bytes), partition (4), offset of the first record (8) | a chunk |
//! | `p`, group (length as varint, text), topic (the same), partition (4) | progress |
//! | `s`, group, shard (4), state key | state value |
//! | `m`, `id` | the directory's own id |
//! | `m`, `r`, a sender's name | the receipt of its last publish |
//! | `m`, `t`, topic's name | number (4), partitions (4) |
//!
//! Numbers are big-endian, so that keys sort as they do.

use std::ops::Bound;

use bytes::Bytes;
use tidemill_core::headers::write_varint;
use tidemill_core::limits::{KEY_LIMIT, NAME_LIMIT};
use tidemill_core::ports::KeyRange;
use tidemill_core::record::TopicPartition;

use crate::store;

const LOG: u8 = b'l';
const PROGRESS: u8 = b'p';
const STATE: u8 = b's';
const TOPIC: &[u8] = b"mt";
const RECEIPT: &[u8] = b"mr";

/// The key of the directory's own id.
pub(crate) const ID: &[u8] = b"mid";

/// More than the lengths and numbers of a state's key take.
const FRAMING: usize = 64;
// The longest key of state that the core lets through, behind the longest names of a group and a handler, fits a store.
const _: () = assert!(2 * NAME_LIMIT + KEY_LIMIT + FRAMING <= store::KEY_LIMIT);

/// What all chunks of one partition have in front of their offset.
fn log_prefix(topic: u32, partition: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(LOG);
    key.extend_from_slice(&topic.to_be_bytes());
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// The key of the chunk whose first record has this offset.
pub(crate) fn chunk(topic: u32, partition: u32, base: u64) -> Bytes {
    let mut key = log_prefix(topic, partition);
    key.extend_from_slice(&base.to_be_bytes());
    key.into()
}

/// All chunks of a partition.
pub(crate) fn chunks(topic: u32, partition: u32) -> KeyRange {
    KeyRange::prefix(log_prefix(topic, partition).into())
}

/// The chunks of a partition whose first record has `offset` or an earlier one.
pub(crate) fn chunks_up_to(topic: u32, partition: u32, offset: u64) -> KeyRange {
    KeyRange {
        start: Bound::Included(log_prefix(topic, partition).into()),
        end: Bound::Included(chunk(topic, partition, offset)),
    }
}

/// The chunks of a partition whose first record has `offset` or a later one.
pub(crate) fn chunks_from(topic: u32, partition: u32, offset: u64) -> KeyRange {
    KeyRange { start: Bound::Included(chunk(topic, partition, offset)), end: chunks(topic, partition).end }
}

/// The offset that a chunk's key names.
pub(crate) fn base_of(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|base| u64::from_be_bytes(*base))
}

fn named(first: u8, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 64);
    key.push(first);
    write_varint(&mut key, name.len());
    key.extend_from_slice(name.as_bytes());
    key
}

/// The key of a group's progress in a partition.
pub(crate) fn progress(group: &str, partition: &TopicPartition) -> Bytes {
    let mut key = named(PROGRESS, group);
    write_varint(&mut key, partition.topic.len());
    key.extend_from_slice(partition.topic.as_bytes());
    key.extend_from_slice(&partition.partition.to_be_bytes());
    key.into()
}

/// All progress of a group; the last four bytes of each key are the partition.
pub(crate) fn progress_of(group: &str) -> KeyRange {
    KeyRange::prefix(named(PROGRESS, group).into())
}

/// The partition that a progress key names.
pub(crate) fn partition_of(key: &[u8]) -> Option<u32> {
    key.last_chunk::<4>().map(|partition| u32::from_be_bytes(*partition))
}

/// What all state keys of one shard have in front.
pub(crate) fn state_prefix(group: &str, shard: u32) -> Vec<u8> {
    let mut key = named(STATE, group);
    key.extend_from_slice(&shard.to_be_bytes());
    key
}

/// The store key of a state key.
pub(crate) fn state(group: &str, shard: u32, key: &[u8]) -> Bytes {
    state_under(&state_prefix(group, shard), key)
}

/// As [`state`], for many keys under one [`state_prefix`].
pub(crate) fn state_under(prefix: &[u8], key: &[u8]) -> Bytes {
    // All of the memory that it needs at once, so that the bytes can be taken over as they are.
    let mut full = Vec::with_capacity(prefix.len() + key.len());
    full.extend_from_slice(prefix);
    full.extend_from_slice(key);
    full.into()
}

/// The store keys of a range of state keys.
pub(crate) fn states(group: &str, shard: u32, range: &KeyRange) -> KeyRange {
    let whole = KeyRange::prefix(state_prefix(group, shard).into());
    let bound = |bound: &Bound<Bytes>, otherwise| match bound {
        Bound::Included(key) => Bound::Included(state(group, shard, key)),
        Bound::Excluded(key) => Bound::Excluded(state(group, shard, key)),
        Bound::Unbounded => otherwise,
    };
    KeyRange { start: bound(&range.start, whole.start), end: bound(&range.end, whole.end) }
}

/// The key under which a topic's number and partitions are kept.
pub(crate) fn topic(name: &str) -> Bytes {
    [TOPIC, name.as_bytes()].concat().into()
}

/// The key of the receipt of a sender's last publish.
pub(crate) fn receipt(name: &str) -> Bytes {
    [RECEIPT, name.as_bytes()].concat().into()
}

/// All topics.
pub(crate) fn topics() -> KeyRange {
    KeyRange::prefix(Bytes::from_static(TOPIC))
}

/// The name that a topic's key holds.
pub(crate) fn topic_name(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.strip_prefix(TOPIC)?).ok()
}
