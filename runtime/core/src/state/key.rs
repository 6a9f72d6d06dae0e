//! How state keys are laid out in bytes.
//!
//! A key is the handler's name, the record key, then the cell: a byte for its kind, its name and, for a map, the entry's
//! key. Names and the record key are preceded by their length (varint), so no key is the beginning of another's.

use bytes::Bytes;

use crate::headers::{read_varint, write_varint};

/// The kind byte of a cell.
const CELL: u8 = 0;
/// The kind byte of a map entry.
const MAP: u8 = 1;

/// What can be the key of a map entry. The encoded form sorts as the values do.
pub trait MapKey: Sized {
    /// Appends the sortable form.
    fn encode(&self, into: &mut Vec<u8>);
    /// Reads it back; `None` for bytes that no key encodes to.
    fn decode(from: &[u8]) -> Option<Self>;
}

impl MapKey for String {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.as_bytes());
    }

    fn decode(from: &[u8]) -> Option<Self> {
        String::from_utf8(from.to_vec()).ok()
    }
}

impl MapKey for Vec<u8> {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self);
    }

    fn decode(from: &[u8]) -> Option<Self> {
        Some(from.to_vec())
    }
}

macro_rules! integer_keys {
    ($($integer:ty, $sign:expr;)*) => {$(
        impl MapKey for $integer {
            fn encode(&self, into: &mut Vec<u8>) {
                // Flipping the sign bit makes the bytes of signed numbers sort as the numbers do.
                into.extend_from_slice(&(*self ^ $sign).to_be_bytes());
            }

            fn decode(from: &[u8]) -> Option<Self> {
                from.try_into().ok().map(|bytes| <$integer>::from_be_bytes(bytes) ^ $sign)
            }
        }
    )*};
}

integer_keys! {
    u8, 0; u16, 0; u32, 0; u64, 0; u128, 0;
    i8, i8::MIN; i16, i16::MIN; i32, i32::MIN; i64, i64::MIN; i128, i128::MIN;
}

fn push_part(into: &mut Vec<u8>, part: &[u8]) {
    write_varint(into, part.len());
    into.extend_from_slice(part);
}

fn take_part<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = read_varint(from)?;
    let (part, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(part)
}

/// Whose state it is: a handler, or one key of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Vec<u8>);

impl Scope {
    /// All state of a handler.
    pub fn handler(handler: &str) -> Self {
        let mut bytes = Vec::with_capacity(handler.len() + 32);
        push_part(&mut bytes, handler.as_bytes());
        Self(bytes)
    }

    /// The state of one key of a handler.
    pub fn key(handler: &str, key: &[u8]) -> Self {
        let mut scope = Self::handler(handler);
        push_part(&mut scope.0, key);
        scope
    }

    /// The beginning that all state keys of this scope share.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same bytes, taken over.
    pub fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}

/// A whole state key: the handler's name, the record key, and what names the cell or map entry, see [`cell_suffix`] and
/// [`map_suffix`].
pub fn state_key(handler: &str, key: &[u8], suffix: &[u8]) -> Bytes {
    // Exact for all but very long keys, so that the bytes can be taken over as they are.
    let length = |part: &[u8]| part.len() + if part.len() < 0x80 { 1 } else { 2 };
    let mut whole = Vec::with_capacity(length(handler.as_bytes()) + length(key) + suffix.len());
    push_part(&mut whole, handler.as_bytes());
    push_part(&mut whole, key);
    whole.extend_from_slice(suffix);
    whole.into()
}

/// The part of a state key that names a cell.
pub fn cell_suffix(name: &str) -> Vec<u8> {
    let mut suffix = Vec::with_capacity(name.len() + 2);
    suffix.push(CELL);
    push_part(&mut suffix, name.as_bytes());
    suffix
}

/// The part of a state key that names a map; the entry's key follows it.
pub fn map_suffix(name: &str) -> Vec<u8> {
    let mut suffix = Vec::with_capacity(name.len() + 16);
    suffix.push(MAP);
    push_part(&mut suffix, name.as_bytes());
    suffix
}

/// A state key taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeKey<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The record key.
    pub key: &'a [u8],
    /// The cell's or map's name.
    pub name: &'a str,
    /// The key of a map entry; `None` for a cell.
    pub entry: Option<&'a [u8]>,
}

impl<'a> ScopeKey<'a> {
    /// Takes a state key apart. `None` for bytes that are not one.
    pub fn parse(mut from: &'a [u8]) -> Option<Self> {
        let handler = std::str::from_utf8(take_part(&mut from)?).ok()?;
        let key = take_part(&mut from)?;
        let (kind, mut rest) = from.split_first()?;
        let name = std::str::from_utf8(take_part(&mut rest)?).ok()?;
        let entry = match *kind {
            CELL if rest.is_empty() => None,
            MAP => Some(rest),
            _ => return None,
        };
        Some(Self { handler, key, name, entry })
    }
}

#[cfg(test)]
mod tests;
