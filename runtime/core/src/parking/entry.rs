//! A parked record as it lies in state, and the names of lanes there.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::failure::Cause;
use crate::headers::{Headers, write_varint};
use crate::id::digest;
use crate::internal::Order;
use crate::lane::LaneId;
use crate::limits::KEY_LIMIT;
use crate::parking::PARKED;
use crate::ports::Entry;
use crate::record::{Position, Record, TopicPartition};
use crate::state::{RUNTIME_NAME, ScopeKey, Unreadable, decode, encode};
use crate::time::Timestamp;

/// What is known of a record's failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Attempts so far, in place and delayed.
    pub attempts: u32,
    /// Those among them for which the record was parked.
    pub delayed: u32,
    /// When the first failed, in milliseconds since the epoch.
    pub first: i64,
    /// When the last failed.
    pub last: i64,
    /// Why the last failed.
    pub cause: Cause,
}

/// What a parked record waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waits {
    /// For those of its lane that were parked before it.
    Behind,
    /// For a time, in milliseconds since the epoch.
    Until(i64),
    /// For an operator.
    Held {
        /// The id of its dead letter; empty where that could not be written.
        letter: String,
    },
}

/// A parked record: where it came from, what it is, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The handler's name; empty where no handler takes the record.
    pub handler: String,
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) timestamp: i64,
    #[serde(with = "serde_bytes")]
    pub(crate) key: Option<Vec<u8>>,
    #[serde(with = "serde_bytes")]
    pub(crate) value: Option<Vec<u8>>,
    #[serde(with = "serde_bytes")]
    pub(crate) headers: Vec<u8>,
    /// What stands for the record's id, where its headers name none.
    pub own_id: String,
    /// Since when it is parked, in milliseconds since the epoch.
    pub since: i64,
    /// What it waits for.
    pub waits: Waits,
    /// Its failures, if it was tried.
    pub past: Option<Past>,
    /// Who redrives it: it is a dead letter's record.
    #[serde(default)]
    pub redriven: Option<Redriven>,
    /// Where it is only caught up with, so that what its handler emits does not leave: whether that may call outside.
    #[serde(default)]
    pub muted: Option<bool>,
}

/// A dead letter's record on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// Who wants it, and why.
    pub order: Order,
    /// The letter's id.
    pub letter: String,
    /// The round of it that is meant.
    pub round: u32,
}

impl Parked {
    pub(crate) fn new(handler: &str, origin: &TopicPartition, record: &Record, own_id: String) -> Self {
        let owned = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| bytes.to_vec());
        Self {
            handler: handler.to_owned(),
            topic: origin.topic.to_string(),
            partition: origin.partition,
            offset: record.offset,
            timestamp: record.timestamp.as_millis(),
            key: owned(&record.key),
            value: owned(&record.value),
            headers: record.headers.as_bytes().to_vec(),
            own_id,
            since: 0,
            waits: Waits::Behind,
            past: None,
            redriven: None,
            muted: None,
        }
    }

    /// What stands for a record where a command is about a key of a handler, and about no record.
    pub fn of_key(handler: &str, topic: &str, partition: u32, key: &[u8]) -> Self {
        let (key, value) = (Some(Bytes::copy_from_slice(key)), None);
        let record = Record { offset: 0, timestamp: Timestamp::default(), key, value, headers: Headers::default() };
        Self::new(handler, &TopicPartition::new(topic, partition), &record, String::new())
    }

    /// Where the record came from.
    pub fn position(&self) -> Position {
        self.origin().at(self.offset)
    }

    /// The partition that it came from.
    pub(crate) fn origin(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }

    /// What stands for the record's id, where its headers name none.
    pub(crate) fn named(&self) -> Option<String> {
        Some(self.own_id.clone()).filter(|id| !id.is_empty())
    }

    /// The record, as it came.
    pub fn record(&self) -> Record {
        Record {
            offset: self.offset,
            timestamp: Timestamp::from_millis(self.timestamp),
            key: self.key.clone().map(Bytes::from),
            value: self.value.clone().map(Bytes::from),
            headers: Headers::from_bytes(self.headers.clone().into()),
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        encode(self).expect("a struct of plain parts can be written").into()
    }

    /// Reads what lies in state.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        decode(bytes)
    }
}

/// The lane's name in state. A key that is too long for a store is named by its hash.
pub(crate) fn lane_key(lane: &LaneId, handler: &str) -> Bytes {
    let mut name = Vec::new();
    let mut begin = |kind: u8| {
        name.push(kind);
        write_varint(&mut name, handler.len());
        name.extend_from_slice(handler.as_bytes());
    };
    match lane {
        LaneId::Key(state) if state.key.len() <= KEY_LIMIT => {
            begin(b'k');
            name.extend_from_slice(&state.key);
        }
        LaneId::Key(state) => {
            begin(b'h');
            name.extend_from_slice(&digest(&[&state.key]));
        }
        LaneId::Partition(_) => begin(b'p'),
        LaneId::Alone(_, position) => {
            begin(b'a');
            name.extend_from_slice(&position.offset.to_be_bytes());
            name.extend_from_slice(position.source.topic.as_bytes());
        }
    }
    name.into()
}

/// The parked record that a state entry of a service is, behind its lane's name and its number: a later one was parked later. In the
/// order of state keys the records of a lane stand together, the first of them first.
pub fn parked((key, value): &Entry) -> Option<(&[u8], u64, Parked)> {
    let place = ScopeKey::parse(key).filter(|place| place.handler == RUNTIME_NAME && place.name == PARKED)?;
    Some((place.key, u64::from_be_bytes(place.entry?.try_into().ok()?), Parked::read(value).ok()?))
}
