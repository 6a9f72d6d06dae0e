//! Batches whose traces tell which of them a store holds, and whether each is whole.

use bytes::Bytes;
use tidemill_core::ports::{Change, KeyRange, Store};

/// Small entries that every batch sets to its own number.
const SHARED: u64 = 40;
/// The entry that names the newest batch.
const NEWEST: &[u8] = b"pnewest";

/// Bytes that do not compress, other ones for each seed.
pub(super) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn shared(n: u64) -> Vec<u8> {
    [b"s", &n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[..]].concat()
}

fn chunk(number: u64) -> Vec<u8> {
    [b"l", &number.to_be_bytes()[..]].concat()
}

/// Batch `number`: a chunk of its own, and the entries that all batches share.
pub(super) fn batch(number: u64, chunk_bytes: usize) -> Vec<Change> {
    let put = |key: Vec<u8>, value: Vec<u8>| Change { key: key.into(), value: Some(value.into()) };
    let mut changes: Vec<_> = (0..SHARED).map(|n| put(shared(n), number.to_be_bytes().into())).collect();
    changes.push(put(chunk(number), noise(chunk_bytes, number)));
    changes.push(put(NEWEST.into(), number.to_be_bytes().into()));
    changes
}

/// The number of the newest batch, after looking that it and all before it are there, whole, and nothing else.
pub(super) fn newest(store: &dyn Store) -> u64 {
    let number_of = |value: Bytes| u64::from_be_bytes((&value[..]).try_into().unwrap());
    let newest = store.get(NEWEST).unwrap().map_or(0, number_of);
    for n in 0..if newest == 0 { 0 } else { SHARED } {
        let value = store.get(&shared(n)).unwrap().expect("an entry that every batch sets");
        assert_eq!(number_of(value), newest, "batch {newest} is there in part");
    }
    for number in 1..=newest {
        let value = store.get(&chunk(number)).unwrap().unwrap_or_else(|| panic!("batch {number} of {newest} is gone"));
        assert!(value == noise(value.len(), number), "the chunk of batch {number} is another one");
    }
    let chunks = store.scan(&KeyRange::prefix(Bytes::from_static(b"l")), usize::MAX).unwrap();
    assert_eq!(chunks.len() as u64, newest, "the chunks are those of the batches");
    newest
}
