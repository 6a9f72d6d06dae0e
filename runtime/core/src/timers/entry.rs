//! A timer as it lies in state: under when it is due, and under its name, which tells when.

use std::ops::Bound;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::headers::{self, Headers, write_varint};
use crate::id::EventId;
use crate::ports::{Entry, KeyRange};
use crate::record::{Position, Record, TopicPartition};
use crate::state::{
    MapKey, Scope, ScopeKey, StateId, TIMERS, TIMERS_NAME, Unreadable, decode, encode, entry_suffix, map_suffix,
};
use crate::time::Timestamp;

/// The map of all timers of a shard, by when they are due. It has no key.
const DUE: &str = "due";
/// The map of one key's timers, by their names.
const NAMES: &str = "names";
/// Bytes of what names a timer among all of its shard.
const WHEN_BYTES: usize = 32;

/// When a timer is due. In the order of these, timers fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct When {
    pub(crate) due: Timestamp,
    /// Of two that are due at the same time, the one that was scheduled first comes first.
    pub(crate) scheduled: Timestamp,
    /// The id of its event.
    pub(crate) id: EventId,
}

impl When {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(WHEN_BYTES);
        self.due.as_millis().encode(&mut bytes);
        self.scheduled.as_millis().encode(&mut bytes);
        self.id.to_u128().encode(&mut bytes);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (due, rest) = bytes.split_at_checked(8)?;
        let (scheduled, id) = rest.split_at_checked(8)?;
        let time = |bytes| i64::decode(bytes).map(Timestamp::from_millis);
        Some(Self { due: time(due)?, scheduled: time(scheduled)?, id: EventId::from_u128(u128::decode(id)?) })
    }

    /// Directly behind this one, if it is due at `now` the latest.
    pub(crate) fn behind(self, now: Timestamp) -> Self {
        let id = EventId::from_u128(self.id.to_u128().wrapping_add(1));
        Self { due: self.due.max(now), id, ..self }
    }

    /// What names the timer in the map of all.
    pub(crate) fn suffix(self) -> Bytes {
        entry_suffix(DUE, &self.to_bytes())
    }

    /// What is kept under the timer's name.
    pub(crate) fn to_value(self) -> Bytes {
        self.to_bytes().into()
    }

    /// Reads what is kept under a timer's name.
    pub(crate) fn from_value(value: &[u8]) -> Option<Self> {
        Self::from_bytes(value)
    }

    /// Where its record stands: in no log. The offset is made of the event's id, so that no two of a shard share it.
    pub(crate) fn position(self, source: &TopicPartition) -> Position {
        const BITS: u128 = (1 << 62) - 1;
        source.at(u64::try_from(self.id.to_u128() & BITS).expect("62 bits"))
    }
}

/// Under which all timers of a shard lie, by when they are due.
pub(crate) fn all() -> StateId {
    StateId { handler: TIMERS, key: Bytes::new() }
}

/// All timers of a shard, or those behind one, in the order in which they fire.
pub(crate) fn range_behind(when: Option<When>) -> KeyRange {
    behind(Scope::key(TIMERS_NAME, &[]).as_bytes(), when)
}

/// The same as what names them in memory.
pub(crate) fn suffixes_behind(when: When) -> KeyRange {
    behind(&[], Some(when))
}

fn behind(scope: &[u8], when: Option<When>) -> KeyRange {
    let prefix = [scope, &map_suffix(DUE)].concat();
    let mut range = KeyRange::prefix(prefix.clone().into());
    if let Some(when) = when {
        range.start = Bound::Excluded([prefix, when.to_bytes()].concat().into());
    }
    range
}

/// All timers of a shard.
pub fn range() -> KeyRange {
    range_behind(None)
}

/// Under which the names of one key's timers lie.
pub(crate) fn owner(handler: &str, key: &[u8]) -> StateId {
    let mut owner = Vec::with_capacity(handler.len() + key.len() + 1);
    write_varint(&mut owner, handler.len());
    owner.extend_from_slice(handler.as_bytes());
    owner.extend_from_slice(key);
    StateId { handler: TIMERS, key: owner.into() }
}

/// What names a timer among those of its key.
pub(crate) fn name_suffix(name: &str) -> Bytes {
    entry_suffix(NAMES, name.as_bytes())
}

/// What fires, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// The handler's name.
    pub handler: String,
    /// The key whose timer it is.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Its name, of which there is one for a handler and key.
    pub name: String,
    #[serde(with = "serde_bytes")]
    pub(crate) headers: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(crate) value: Vec<u8>,
}

/// A timer that was found in state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// When it is due.
    pub due: Timestamp,
    /// When it was scheduled.
    pub scheduled: Timestamp,
    /// The id of its event.
    pub id: EventId,
    /// What fires, and whose it is.
    pub timer: Timer,
}

impl Timer {
    pub(crate) fn to_bytes(&self) -> Bytes {
        encode(self).expect("a struct of plain parts can be written").into()
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        decode(bytes)
    }

    /// The type of its event.
    pub fn event(&self) -> String {
        let headers = Headers::from_bytes(self.headers.clone().into());
        headers.text(headers::TYPE).unwrap_or_default().to_owned()
    }

    /// What its handler gets: a record that stands in no log.
    pub(crate) fn into_record(self, when: When, offset: u64) -> Record {
        Record {
            offset,
            timestamp: when.due,
            key: Some(self.key.into()),
            value: Some(self.value.into()),
            headers: Headers::from_bytes(self.headers.into()),
        }
    }
}

/// When a state entry's timer is due; `None` for an entry that is something else.
pub(crate) fn when(key: &[u8]) -> Option<When> {
    let place = ScopeKey::parse(key).filter(|place| place.handler == TIMERS_NAME && place.name == DUE)?;
    When::from_bytes(place.entry?)
}

/// The timer that a state entry of a service is; `None` for an entry that is something else.
pub fn pending((key, value): &Entry) -> Option<Result<Pending, Unreadable>> {
    let When { due, scheduled, id } = when(key)?;
    Some(Timer::read(value).map(|timer| Pending { due, scheduled, id, timer }))
}
