//! The record of a dead letter: the failed one as it was, and headers that say what happened to it.

use bytes::Bytes;

use crate::failure::Then;
use crate::headers::{self, Headers};
use crate::id::EventId;
use crate::outputs::{Address, Outputs};
use crate::parking::{Parked, Past};
use crate::record::{Position, Record, TopicPartition};
use crate::time::Timestamp;

/// Other headers that dead letters carry beside our own, for tools that know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compatibility {
    /// None.
    #[default]
    None,
    /// Those of Kafka Connect: `__connect.errors.…`, all text.
    Connect,
    /// Those of Spring for Apache Kafka: `kafka_dlt-…`, numbers in big-endian bytes.
    Spring,
}

/// One time that a record failed for good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round<'a> {
    pub(crate) id: EventId,
    pub(crate) group: &'a str,
    /// Empty where no handler takes the record.
    pub(crate) handler: &'a str,
    pub(crate) origin: &'a TopicPartition,
    /// What stands for the record's id where its headers name none.
    pub(crate) own_id: &'a str,
    pub(crate) past: &'a Past,
    pub(crate) then: Then,
    /// Its number, from 1.
    pub(crate) number: u32,
    /// The rounds before, oldest first.
    pub(crate) history: &'a [String],
}

/// Appends the dead letter of a record.
pub(crate) fn write(record: &Record, round: &Round<'_>, also: Compatibility, address: Address, into: &mut Outputs) {
    let mut block = record.headers.as_bytes().to_vec();
    {
        let mut text = |name: &str, value: &str| headers::write(&mut block, name, Some(value.as_bytes()));
        let at = |millis: i64| Timestamp::from_millis(millis).to_string();
        let Past { attempts, first, last, cause, .. } = round.past;
        text(headers::DL_ID, &round.id.to_string());
        text(headers::DL_ROUND, &round.number.to_string());
        text(headers::DL_GROUP, round.group);
        if !round.handler.is_empty() {
            text(headers::DL_HANDLER, round.handler);
        }
        text(headers::DL_TOPIC, &round.origin.topic);
        text(headers::DL_PARTITION, &round.origin.partition.to_string());
        text(headers::DL_OFFSET, &record.offset.to_string());
        text(headers::DL_TIMESTAMP, &record.timestamp.to_string());
        if !round.own_id.is_empty() {
            text(headers::DL_OWN_ID, round.own_id);
        }
        text(headers::DL_ATTEMPTS, &attempts.to_string());
        text(headers::DL_FIRST_FAILURE, &at(*first));
        text(headers::DL_LAST_FAILURE, &at(*last));
        text(headers::DL_CLASS, &cause.class);
        text(headers::DL_CODE, &cause.code);
        text(headers::DL_FINGERPRINT, &cause.fingerprint);
        text(headers::DL_MESSAGE, &cause.message);
        text(headers::DL_THEN, round.then.name());
        for round in round.history {
            text(headers::DL_HISTORY, round);
        }
        text(headers::DL_HEADERS, &record.headers.iter().count().to_string());
    }
    also_known_as(also, record, round, &mut block);
    into.push_raw(address, record.key.as_deref(), &Headers::from_bytes(block.into()), record.value.as_deref());
}

/// Appends the headers that other tools read.
fn also_known_as(also: Compatibility, record: &Record, round: &Round<'_>, block: &mut Vec<u8>) {
    let cause = &round.past.cause;
    let class = format!("tidemill.{}", cause.class);
    let message = format!("{}: {}", cause.code, cause.message);
    match also {
        Compatibility::None => {}
        Compatibility::Connect => {
            let texts = [
                ("__connect.errors.topic", round.origin.topic.to_string()),
                ("__connect.errors.partition", round.origin.partition.to_string()),
                ("__connect.errors.offset", record.offset.to_string()),
                ("__connect.errors.connector.name", round.group.to_owned()),
                ("__connect.errors.exception.class.name", class),
                ("__connect.errors.exception.message", message),
            ];
            for (name, value) in texts {
                headers::write(block, name, Some(value.as_bytes()));
            }
        }
        Compatibility::Spring => {
            let partition = i32::try_from(round.origin.partition).unwrap_or(i32::MAX);
            let parts: [(&str, &[u8]); 7] = [
                ("kafka_dlt-original-topic", round.origin.topic.as_bytes()),
                ("kafka_dlt-original-partition", &partition.to_be_bytes()),
                ("kafka_dlt-original-offset", &record.offset.to_be_bytes()),
                ("kafka_dlt-original-timestamp", &record.timestamp.as_millis().to_be_bytes()),
                ("kafka_dlt-original-consumer-group", round.group.as_bytes()),
                ("kafka_dlt-exception-fqcn", class.as_bytes()),
                ("kafka_dlt-exception-message", message.as_bytes()),
            ];
            for (name, value) in parts {
                headers::write(block, name, Some(value));
            }
        }
    }
}

/// A dead letter as it is read from its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its id: the same for each round.
    pub id: String,
    /// How many times its record failed for good, from 1.
    pub round: u32,
    /// The handler; empty where no handler takes the record.
    pub handler: String,
    /// Where the record came from.
    pub origin: Position,
    /// What stands for the record's id where its headers name none.
    pub own_id: String,
    /// Attempts in this round and the parked ones before it.
    pub attempts: u32,
    /// When the first failed.
    pub first: Timestamp,
    /// When the last failed.
    pub last: Timestamp,
    /// The class of the failure.
    pub class: String,
    /// Its code.
    pub code: String,
    /// The same for all failures of one kind.
    pub fingerprint: String,
    /// What was said, redacted.
    pub message: String,
    /// `continue` or `hold`.
    pub then: String,
    /// The rounds before.
    pub history: Vec<String>,
    /// The record as it was.
    pub record: Record,
}

impl Letter {
    /// Reads a letter. `None` for a record that is none.
    pub fn read(record: &Record) -> Option<Self> {
        let all: Vec<_> = record.headers.iter().collect();
        // What stands last is ours: the record may have been a dead letter of somebody else's before.
        let last = |name: &str| {
            let found = all.iter().rev().find(|(known, _)| *known == name)?.1?;
            std::str::from_utf8(found).ok().map(str::to_owned)
        };
        let own: usize = last(headers::DL_HEADERS)?.parse().ok().filter(|own| *own <= all.len())?;
        let number = |name| last(name)?.parse::<u64>().ok();
        let time = |name| Timestamp::parse(&last(name)?);
        let partition = u32::try_from(number(headers::DL_PARTITION)?).ok()?;
        let offset = number(headers::DL_OFFSET)?;
        let history = all[own..].iter().filter(|(name, _)| *name == headers::DL_HISTORY);
        let original = Headers::from_pairs(all[..own].iter().copied());
        Some(Self {
            id: last(headers::DL_ID)?,
            round: u32::try_from(number(headers::DL_ROUND)?).ok()?,
            handler: last(headers::DL_HANDLER).unwrap_or_default(),
            origin: TopicPartition::new(last(headers::DL_TOPIC)?, partition).at(offset),
            own_id: all[own..]
                .iter()
                .find(|(name, _)| *name == headers::DL_OWN_ID)
                .and_then(|(_, value)| Some(String::from_utf8_lossy((*value)?).into_owned()))
                .unwrap_or_default(),
            attempts: u32::try_from(number(headers::DL_ATTEMPTS)?).ok()?,
            first: time(headers::DL_FIRST_FAILURE)?,
            last: time(headers::DL_LAST_FAILURE)?,
            class: last(headers::DL_CLASS)?,
            code: last(headers::DL_CODE)?,
            fingerprint: last(headers::DL_FINGERPRINT)?,
            message: last(headers::DL_MESSAGE)?,
            then: last(headers::DL_THEN)?,
            history: history.filter_map(|(_, value)| Some(String::from_utf8_lossy((*value)?).into_owned())).collect(),
            record: Record {
                offset,
                timestamp: Timestamp::parse(&last(headers::DL_TIMESTAMP)?)?,
                key: record.key.clone(),
                value: record.value.clone(),
                headers: original,
            },
        })
    }

    /// Its record as a command names it.
    pub fn target(&self) -> Parked {
        Parked::new(&self.handler, &self.origin.source, &self.record, self.own_id.clone())
    }

    /// The record's key as text, where it is text.
    pub fn key(&self) -> Option<&str> {
        self.record.key.as_ref().and_then(|key: &Bytes| std::str::from_utf8(key).ok())
    }

    /// The event type that the record names.
    pub fn event(&self) -> Option<&str> {
        self.record.headers.text(headers::TYPE)
    }
}
