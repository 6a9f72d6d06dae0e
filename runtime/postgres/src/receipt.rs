//! What a publish of the relay says of itself: which rows it holds, and of which database.

use bytes::Bytes;
use tidemill_core::headers::{read_varint, write_varint};

/// The form of a receipt.
const FORM: u8 = 1;

/// Rows that were sent together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Which database they lay in.
    pub(crate) database: String,
    /// Their ids and events.
    pub(crate) rows: Vec<(i64, [u8; 16])>,
}

impl Receipt {
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut bytes = vec![FORM];
        write_varint(&mut bytes, self.database.len());
        bytes.extend_from_slice(self.database.as_bytes());
        for (id, event) in &self.rows {
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(event);
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
        let length = read_varint(from)?;
        let (database, rest) = from.split_at_checked(length)?;
        let (rows, left) = rest.as_chunks::<24>();
        let row = |row: &[u8; 24]| {
            let (id, event) = row.split_first_chunk::<8>()?;
            Some((i64::from_be_bytes(*id), event.try_into().ok()?))
        };
        let rows = rows.iter().map(row).collect::<Option<Vec<_>>>()?;
        let database = std::str::from_utf8(database).ok()?.to_owned();
        left.is_empty().then_some(Self { database, rows })
    }
}

#[cfg(test)]
mod tests;
