//! How an event lies in the store.
//!
//! A form byte; the event's own id (16 bytes); the record's time (8); a byte that says whether a partition follows (4); then, each with
//! its length as a varint: topic, headers, key, value and why it is parked. Of the last three, the length 0 says that there is none, and
//! others are one more than they are.

use bytes::Bytes;
use tidemill_core::headers::{Headers, read_varint, write_varint};
use tidemill_core::ports::OutboxRow;
use tidemill_core::time::Timestamp;

/// The form of an event.
const FORM: u8 = 1;

/// The key of the greatest id that an event had which was deleted.
pub(super) const LAST_ID: &[u8] = b"mi";

/// What no event of another directory has.
pub(super) fn event(directory: &str, id: u64) -> [u8; 16] {
    let directory = u128::from_str_radix(directory, 16).unwrap_or_default();
    directory.wrapping_add(u128::from(id)).to_be_bytes()
}

fn write(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    write_varint(into, bytes.map_or(0, |bytes| bytes.len() + 1));
    into.extend_from_slice(bytes.unwrap_or_default());
}

pub(super) fn encode(row: &OutboxRow) -> Bytes {
    let mut bytes = vec![FORM];
    bytes.extend_from_slice(&row.event);
    bytes.extend_from_slice(&row.at.as_millis().to_be_bytes());
    bytes.push(u8::from(row.partition.is_some()));
    bytes.extend_from_slice(&row.partition.unwrap_or_default().to_be_bytes());
    let parts = [
        Some(row.topic.as_bytes()),
        Some(row.headers.as_bytes()),
        row.key.as_deref(),
        row.value.as_deref(),
        row.parked.as_deref().map(str::as_bytes),
    ];
    for part in parts {
        write(&mut bytes, part);
    }
    bytes.into()
}

/// Takes `N` bytes off the front.
fn take<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(head)
}

#[expect(clippy::option_option, reason = "what cannot be read, what is none, and what is there")]
fn part(whole: &Bytes, from: &mut &[u8]) -> Option<Option<Bytes>> {
    let Some(length) = read_varint(from)?.checked_sub(1) else { return Some(None) };
    let (head, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(Some(whole.slice_ref(head)))
}

/// `None` for what nobody of ours has written.
pub(super) fn read(id: u64, bytes: &Bytes) -> Option<OutboxRow> {
    let from = &mut &bytes[..];
    let [form] = *take::<1>(from)?;
    let event = *take::<16>(from)?;
    let at = Timestamp::from_millis(i64::from_be_bytes(*take(from)?));
    let [has_partition] = *take::<1>(from)?;
    let partition = Some(u32::from_be_bytes(*take(from)?)).filter(|_| has_partition == 1);
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).ok();
    let topic = text(part(bytes, from)??)?.into();
    let headers = Headers::from_bytes(part(bytes, from)??);
    let (key, value) = (part(bytes, from)?, part(bytes, from)?);
    let parked = match part(bytes, from)? {
        Some(why) => Some(text(why)?),
        None => None,
    };
    (form == FORM && from.is_empty()).then_some(OutboxRow {
        id,
        event,
        topic,
        partition,
        at,
        key,
        headers,
        value,
        parked,
    })
}
