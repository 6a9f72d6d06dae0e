//! How the inbox lies in state: runs of ids, each with where its event stood and when it had its effects.

use bytes::Bytes;

use crate::headers::{read_varint, write_varint};
use crate::inbox::COPIES;
use crate::ports::Entry;
use crate::state::{RUNTIME_NAME, ScopeKey, entry_suffix};
use crate::time::Timestamp;

/// The map that the inbox lies in.
const INBOX: &str = "inbox";
/// The form of what lies there.
const FORM: u8 = 1;

/// What is kept of an event that had its effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) id: u128,
    /// The place of its topic in the list beside it.
    pub(crate) topic: usize,
    pub(crate) offset: u64,
    /// When it had its effects, in milliseconds since the epoch.
    pub(crate) at: i64,
}

/// What names a run in the inbox's map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// What one commit of a bucket added.
    Part { bucket: u64, number: u64 },
    /// A page of a bucket that is closed.
    Page { bucket: u64, number: u64 },
    /// One id, where units commit by themselves.
    Single(u128),
}

impl Name {
    pub(super) fn suffix(self) -> Bytes {
        let mut bytes = [0; 17];
        let (kind, rest) = match self {
            Self::Part { bucket, number } => (0, u128::from(bucket) << 64 | u128::from(number)),
            Self::Page { bucket, number } => (1, u128::from(bucket) << 64 | u128::from(number)),
            Self::Single(id) => (2, id),
        };
        bytes[0] = kind;
        bytes[1..].copy_from_slice(&rest.to_be_bytes());
        entry_suffix(INBOX, &bytes)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let rest = u128::from_be_bytes(rest.try_into().ok()?);
        let (bucket, number) = halves(rest);
        match kind {
            0 => Some(Self::Part { bucket, number }),
            1 => Some(Self::Page { bucket, number }),
            2 => Some(Self::Single(rest)),
            _ => None,
        }
    }
}

/// Ids of one commit, or of one page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// For how long the service had run when it was written, in milliseconds.
    pub(crate) running: u64,
    /// How many pages its bucket has; 0 where it is no page.
    pub(crate) pages: usize,
    pub(crate) topics: Vec<String>,
    pub(crate) applied: Vec<Applied>,
}

/// The upper and the lower half of a number.
pub(super) fn halves(number: u128) -> (u64, u64) {
    let half = |number: u128| u64::try_from(number).expect("half of it");
    (half(number >> 64), half(number & u128::from(u64::MAX)))
}

/// Numbers near zero, below it or above, as small ones.
fn folded(number: i64) -> usize {
    let folded = ((number << 1) ^ (number >> 63)).cast_unsigned();
    usize::try_from(folded).expect("64-bit machine")
}

fn unfolded(number: usize) -> i64 {
    let number = number as u64;
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

impl Run {
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut bytes = vec![FORM];
        write_varint(&mut bytes, usize::try_from(self.running).expect("64-bit machine"));
        write_varint(&mut bytes, self.pages);
        write_varint(&mut bytes, self.topics.len());
        for topic in &self.topics {
            write_varint(&mut bytes, topic.len());
            bytes.extend_from_slice(topic.as_bytes());
        }
        let (mut offset, mut at) = (0, 0);
        for applied in &self.applied {
            bytes.extend_from_slice(&applied.id.to_be_bytes());
            write_varint(&mut bytes, applied.topic);
            write_varint(&mut bytes, folded(applied.offset.wrapping_sub(offset).cast_signed()));
            write_varint(&mut bytes, folded(applied.at.wrapping_sub(at)));
            (offset, at) = (applied.offset, applied.at);
        }
        bytes.into()
    }

    /// `None` for what nobody of ours has written.
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let (form, rest) = from.split_first()?;
        *from = rest;
        if *form != FORM {
            return None;
        }
        let (running, pages) = (read_varint(from)? as u64, read_varint(from)?);
        let mut run = Self { running, pages, ..Self::default() };
        for _ in 0..read_varint(from)? {
            let length = read_varint(from)?;
            let (topic, rest) = from.split_at_checked(length)?;
            run.topics.push(std::str::from_utf8(topic).ok()?.to_owned());
            *from = rest;
        }
        let (mut offset, mut at) = (0_u64, 0_i64);
        while !from.is_empty() {
            let (id, rest) = from.split_first_chunk()?;
            *from = rest;
            let topic = read_varint(from).filter(|topic| *topic < run.topics.len())?;
            offset = offset.wrapping_add(unfolded(read_varint(from)?).cast_unsigned());
            at = at.wrapping_add(unfolded(read_varint(from)?));
            run.applied.push(Applied { id: u128::from_be_bytes(*id), topic, offset, at });
        }
        Some(run)
    }
}

/// What an entry of the runtime's own state is to the inbox; nothing where it is somebody else's.
pub(super) fn name_of(map: &str, entry: &[u8]) -> Option<Name> {
    if map == INBOX { Name::read(entry) } else { None }
}

/// Whether an event is among those of an entry of the inbox.
pub(crate) fn holds(run: &[u8], id: u128) -> bool {
    Run::read(run).is_some_and(|run| run.applied.iter().any(|applied| applied.id == id))
}

/// Whether a state key is one of the inbox: it tells of ids, or how many copies there were.
pub fn is_known(key: &[u8]) -> bool {
    let place = ScopeKey::parse(key).filter(|place| place.handler == RUNTIME_NAME);
    place.is_some_and(|place| {
        place.entry.is_some_and(|entry| place.name == COPIES || name_of(place.name, entry).is_some())
    })
}

/// Where an event stood, and when it had its effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its topic.
    pub topic: String,
    /// Its offset in the partition with the number of its shard.
    pub offset: u64,
    /// When it had its effects.
    pub at: Timestamp,
}

/// Where the event with this id stood, if an entry of a shard's state knows it.
pub fn applied(entry: &Entry, id: u128) -> Option<Place> {
    let place = ScopeKey::parse(&entry.0).filter(|place| place.handler == RUNTIME_NAME)?;
    name_of(place.name, place.entry?)?;
    let run = Run::read(&entry.1)?;
    let found = run.applied.iter().find(|applied| applied.id == id)?;
    let at = Timestamp::from_millis(found.at);
    Some(Place { topic: run.topics[found.topic].clone(), offset: found.offset, at })
}
