//! Large values in parts, so that no node of the tree grows beyond what sled writes into its log.
//!
//! | key | value |
//! |---|---|
//! | key of the store | `0`, then the value; or `1`, then its length (8 bytes), when it is in parts |
//! | `2`, length of the key (2 bytes), key, number of the part (4 bytes) | a part; all but the last are full |

use std::ops::Range;

use ::sled::{Batch, IVec};

use super::super::engine::Failure;

/// Bytes of a part, and of the largest value that is kept whole.
pub(super) const PART_BYTES: usize = 12 * 1024;

const WHOLE: u8 = 0;
const IN_PARTS: u8 = 1;
/// What keys of parts begin with; the store's own keys begin with less.
const PART: u8 = 2;

/// How a value is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Behind the first byte.
    Whole,
    /// In parts.
    Parts {
        /// Bytes of the value.
        length: usize,
    },
}

/// Reads how a value is kept.
pub(super) fn head(stored: &[u8]) -> Result<Head, Failure> {
    match stored.split_first() {
        Some((&WHOLE, _)) => Ok(Head::Whole),
        Some((&IN_PARTS, length)) => {
            let length = length.try_into().ok().and_then(|length| usize::try_from(u64::from_be_bytes(length)).ok());
            length.map(|length| Head::Parts { length }).ok_or_else(unreadable)
        }
        _ => Err(unreadable()),
    }
}

fn unreadable() -> Failure {
    Failure::Damaged("a value cannot be read".to_owned())
}

/// Puts a value into a batch, in parts if it is large.
pub(super) fn insert(batch: &mut Batch, key: &[u8], value: &[u8]) {
    if value.len() <= PART_BYTES {
        batch.insert(key, [&[WHOLE], value].concat());
        return;
    }
    batch.insert(key, [&[IN_PARTS][..], &(value.len() as u64).to_be_bytes()].concat());
    for (part, bytes) in keys(key, value.len()).zip(value.chunks(PART_BYTES)) {
        batch.insert(part, bytes);
    }
}

/// The keys of the parts of a value of this length.
pub(super) fn keys(key: &[u8], length: usize) -> impl Iterator<Item = IVec> {
    let count = u32::try_from(length.div_ceil(PART_BYTES)).expect("a value has no more bytes than the store takes");
    let size = u16::try_from(key.len()).expect("a key has no more bytes than the store takes");
    let prefix = [&[PART][..], &size.to_be_bytes(), key].concat();
    (0..count).map(move |part| IVec::from([&prefix[..], &part.to_be_bytes()].concat()))
}

/// Where the keys of all parts lie.
pub(super) const fn all() -> Range<&'static [u8]> {
    &[PART]..&[PART + 1]
}
