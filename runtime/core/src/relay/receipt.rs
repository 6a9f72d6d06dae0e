//! What a publish of the relay says of itself: which rows it holds, and of which outbox.

use crate::headers::{read_varint, write_varint};
use crate::ports::Sent;
use bytes::Bytes;

/// The form of a receipt.
const FORM: u8 = 1;

/// Rows that were sent together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    /// Which outbox they lay in.
    pub(super) outbox: String,
    /// How many publishes there were, with this one.
    pub(super) publish: u64,
    /// Their ids and events.
    pub(super) rows: Vec<Sent>,
}

impl Receipt {
    pub(super) fn to_bytes(&self) -> Bytes {
        let mut bytes = vec![FORM];
        write_varint(&mut bytes, self.outbox.len());
        bytes.extend_from_slice(self.outbox.as_bytes());
        bytes.extend_from_slice(&self.publish.to_be_bytes());
        for (id, event) in &self.rows {
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(event);
        }
        bytes.into()
    }

    /// `None` for what nobody of ours has written.
    pub(super) fn read(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let (form, rest) = from.split_first()?;
        *from = rest;
        if *form != FORM {
            return None;
        }
        let length = read_varint(from)?;
        let (outbox, rest) = from.split_at_checked(length)?;
        let (publish, rest) = rest.split_first_chunk::<8>()?;
        let (rows, left) = rest.as_chunks::<24>();
        let row = |row: &[u8; 24]| {
            let (id, event) = row.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*id), event.try_into().ok()?))
        };
        let rows = rows.iter().map(row).collect::<Option<Vec<_>>>()?;
        let outbox = std::str::from_utf8(outbox).ok()?.to_owned();
        left.is_empty().then_some(Self { outbox, publish: u64::from_be_bytes(*publish), rows })
    }
}

#[cfg(test)]
mod tests;
