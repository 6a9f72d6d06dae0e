//! Timers as they lie in state, read by code of its own.

use std::sync::Arc;

use tidemill_core::record::{Position, TopicPartition};
use tidemill_core::state::ScopeKey;

/// A timer that lies under a state key: where attempts to handle it say that it stands, and the id of its event.
pub(in crate::simulation) fn timer(group: &str, shard: u32, key: &[u8]) -> Option<(Position, String)> {
    let place = ScopeKey::parse(key).filter(|place| place.handler == "~timers" && place.name == "due")?;
    let id: [u8; 16] = place.entry?.get(16..)?.try_into().ok()?;
    let number = u128::from_be_bytes(id);
    let offset = u64::try_from(number & 0x3fff_ffff_ffff_ffff).expect("62 bits");
    let topic: Arc<str> = format!("{group}.timers").into();
    let digits = format!("{number:032x}");
    let text = format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    Some((TopicPartition::new(topic, shard).at(offset), text))
}
