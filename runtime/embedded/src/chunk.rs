//! Chunks: consecutive records of one partition as one value of the store.
//!
//! A chunk begins with the version of its form (a byte), when it was appended (milliseconds, 8 bytes) and how many records it
//! has (4 bytes), little-endian. A record is its timestamp (milliseconds, 8 bytes), the length of the key plus one (0: no
//! key), the length of the header block, the length of the value plus one (0: no value), all three as varints, then key,
//! headers and value. Offsets are not written: a chunk is stored under that of its first record, and the others follow.

use bytes::Bytes;
use tidemill_core::headers::{Headers, read_varint, write_varint};
use tidemill_core::outputs::Output;
use tidemill_core::record::Record;
use tidemill_core::time::Timestamp;

/// The version of the form described above.
const FORM: u8 = 1;
/// Where the time of the append lies.
const APPENDED: std::ops::Range<usize> = 1..9;
/// Where the number of records lies.
const COUNT: std::ops::Range<usize> = 9..13;
/// The bytes before the first record.
const HEAD: usize = COUNT.end;

/// A chunk in the making.
#[derive(Debug)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    count: u32,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEAD], count: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push(&mut self, record: &Output<'_>) {
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&record.timestamp.as_millis().to_le_bytes());
        write_varint(bytes, record.key.map_or(0, |key| key.len() + 1));
        write_varint(bytes, record.headers.len());
        write_varint(bytes, record.value.map_or(0, |value| value.len() + 1));
        bytes.extend_from_slice(record.key.unwrap_or_default());
        bytes.extend_from_slice(record.headers);
        bytes.extend_from_slice(record.value.unwrap_or_default());
        self.count += 1;
    }

    /// The chunk, which has no byte to spare; the next one begins in the same memory.
    pub(crate) fn finish(&mut self, appended: Timestamp) -> Chunk {
        self.bytes[0] = FORM;
        self.bytes[APPENDED].copy_from_slice(&appended.as_millis().to_le_bytes());
        self.bytes[COUNT].copy_from_slice(&self.count.to_le_bytes());
        let chunk = Chunk { bytes: Bytes::copy_from_slice(&self.bytes), count: self.count };
        self.bytes.truncate(HEAD);
        self.count = 0;
        chunk
    }
}

/// A chunk as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    bytes: Bytes,
    count: u32,
}

impl Chunk {
    /// Takes stored bytes for a chunk; `None` for bytes that are none.
    pub(crate) fn read(bytes: Bytes) -> Option<Self> {
        let count = u32::from_le_bytes(bytes.get(COUNT)?.try_into().ok()?);
        (bytes[0] == FORM && count > 0).then_some(Self { bytes, count })
    }

    /// How many records there are; at least one.
    pub(crate) fn count(&self) -> u64 {
        u64::from(self.count)
    }

    /// When the chunk was appended.
    pub(crate) fn appended(&self) -> Timestamp {
        Timestamp::from_millis(i64::from_le_bytes(self.bytes[APPENDED].try_into().expect("8 bytes")))
    }

    /// The stored form.
    pub(crate) fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Goes through the records; the first has the offset `base`.
    pub(crate) fn cursor(&self, base: u64) -> Cursor {
        Cursor { bytes: self.bytes.clone(), at: HEAD, offset: base, end: base + self.count() }
    }
}

/// A chunk that says it holds more than it does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Where a reader is in a chunk.
#[derive(Debug)]
pub(crate) struct Cursor {
    bytes: Bytes,
    at: usize,
    offset: u64,
    end: u64,
}

impl Cursor {
    /// The offset of the next record.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The offset behind the last record.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The next record; its parts share the chunk's memory.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Damaged> {
        if self.offset == self.end {
            return Ok(None);
        }
        let record = self.read().ok_or(Damaged)?;
        self.offset += 1;
        Ok(Some(record))
    }

    fn read(&mut self) -> Option<Record> {
        let mut rest = self.bytes.get(self.at..)?;
        let (timestamp, tail) = rest.split_first_chunk::<8>()?;
        rest = tail;
        let key = read_varint(&mut rest)?.checked_sub(1);
        let headers = read_varint(&mut rest)?;
        let value = read_varint(&mut rest)?.checked_sub(1);
        let mut from = self.bytes.len() - rest.len();
        let mut part = |length: usize| {
            let to = from.checked_add(length).filter(|to| *to <= self.bytes.len())?;
            let bytes = self.bytes.slice(from..to);
            from = to;
            Some(bytes)
        };
        let record = Record {
            offset: self.offset,
            timestamp: Timestamp::from_millis(i64::from_le_bytes(*timestamp)),
            key: match key {
                Some(length) => Some(part(length)?),
                None => None,
            },
            headers: Headers::from_bytes(part(headers)?),
            value: match value {
                Some(length) => Some(part(length)?),
                None => None,
            },
        };
        self.at = from;
        Some(record)
    }
}

#[cfg(test)]
mod tests;
