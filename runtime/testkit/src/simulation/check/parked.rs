//! Parked records, dead letters and what became of commands, as they lie in state and in topics, read by code of its own.

use bytes::Bytes;
use serde::Deserialize;
use tidemill_core::headers::Headers;
use tidemill_core::record::{Position, TopicPartition};
use tidemill_core::state::{ScopeKey, decode};

/// What a parked record waits for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::simulation) enum Waits {
    Behind,
    Until(i64),
    Held { letter: String },
}

#[derive(Deserialize)]
struct Form {
    handler: String,
    topic: String,
    partition: u32,
    offset: u64,
    waits: Waits,
    #[serde(default)]
    redriven: Option<serde::de::IgnoredAny>,
}

/// A record in parking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::simulation) struct Parked {
    /// The name of its lane, and its number there.
    pub(super) lane: Vec<u8>,
    pub(super) number: u64,
    pub(super) handler: String,
    pub(super) position: Position,
    pub(super) waits: Waits,
    /// Whether an operator put it there, or has it handled again.
    pub(super) redriven: bool,
}

/// An entry of one of the runtime's own maps: whose it is, and its key there.
fn own<'a>(key: &'a [u8], map: &str) -> Option<(&'a [u8], &'a [u8])> {
    let place = ScopeKey::parse(key).filter(|place| place.handler.is_empty() && place.name == map)?;
    Some((place.key, place.entry?))
}

/// Whether a state key is one of those under which the ids of events lie that had their effects.
pub(in crate::simulation) fn is_known(key: &[u8]) -> bool {
    own(key, "inbox").is_some()
}

/// Whether a state key is that of a parked record.
pub(in crate::simulation) fn is_parked(key: &[u8]) -> bool {
    own(key, "parked").is_some()
}

/// The parked record that lies under a state key. An error for one that cannot be read.
pub(in crate::simulation) fn parked(key: &[u8], value: &[u8]) -> Option<Result<Parked, String>> {
    let (lane, number) = own(key, "parked")?;
    let read = || {
        let number = u64::from_be_bytes(number.try_into().map_err(|_| "its number is none".to_owned())?);
        let form: Form = decode(value).map_err(|error| error.to_string())?;
        Ok(Parked {
            lane: lane.to_vec(),
            number,
            handler: form.handler,
            position: TopicPartition::new(form.topic, form.partition).at(form.offset),
            waits: form.waits,
            redriven: form.redriven.is_some(),
        })
    };
    Some(read())
}

/// The id of the open dead letter that lies under a state key.
pub(super) fn open_letter(key: &[u8]) -> Option<String> {
    own(key, "letters").map(|(_, id)| String::from_utf8_lossy(id).into_owned())
}

/// The lanes among state entries that wait for something else than an operator: their first record is not held.
pub(in crate::simulation) fn waiting<'a>(entries: impl IntoIterator<Item = (&'a Bytes, &'a Bytes)>) -> Vec<Parked> {
    let mut first = std::collections::BTreeMap::<Vec<u8>, Parked>::new();
    for (key, value) in entries {
        if let Some(Ok(found)) = parked(key, value) {
            let known = first.entry(found.lane.clone()).or_insert_with(|| found.clone());
            if found.number < known.number {
                *known = found;
            }
        }
    }
    first.into_values().filter(|first| !matches!(first.waits, Waits::Held { .. })).collect()
}

/// What a dead letter says of itself.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) round: u32,
    pub(super) handler: String,
    pub(super) origin: Position,
    pub(super) holds: bool,
}

/// Reads the headers of a dead letter. What stands last is the writer's own.
pub(super) fn letter(headers: &Headers) -> Option<Letter> {
    let text = |name: &str| {
        let all = headers.iter().filter(|(known, _)| *known == name);
        all.last().and_then(|(_, value)| String::from_utf8(value?.to_vec()).ok())
    };
    let source = TopicPartition::new(text("tm-dl-topic")?, text("tm-dl-partition")?.parse().ok()?);
    Some(Letter {
        id: text("tm-dl-id")?,
        round: text("tm-dl-round")?.parse().ok()?,
        handler: text("tm-dl-handler").unwrap_or_default(),
        origin: source.at(text("tm-dl-offset")?.parse().ok()?),
        holds: text("tm-dl-then")? == "hold",
    })
}
