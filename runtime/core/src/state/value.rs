//! How state values are written: a version byte of this form, then `MessagePack` with field names, so that a field can be
//! added to a struct (with `#[serde(default)]`) and old values still read.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the form described above.
const FORM: u8 = 1;

/// A stored value that cannot be read as the type that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    /// A state of a saga that was stored by another version of it.
    pub(crate) fn version(state: &str, stored: u32, known: u32) -> Self {
        Self(format!(
            "version {stored} of state {state} is stored, and this build knows {known} and does not say how to migrate it"
        ))
    }

    /// The key of a map entry that cannot be read as the map's key type.
    pub(crate) fn key() -> Self {
        Self("the key of an entry has another form".into())
    }
}

/// Bytes up to which a value is copied and not shared.
const COPIED: usize = 128;

/// The same value for somebody else who keeps it. Small ones are copied: sharing costs more, when both are dropped.
pub fn own(value: &Bytes) -> Bytes {
    if value.len() <= COPIED { Bytes::copy_from_slice(value) } else { value.clone() }
}

/// Writes a value.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    encode_into(&mut bytes, value)?;
    Ok(bytes)
}

/// Writes a value behind what is there already. Where it fails, a part of it may have been written.
pub(crate) fn encode_into<T: Serialize>(bytes: &mut Vec<u8>, value: &T) -> Result<(), Unreadable> {
    bytes.push(FORM);
    let mut serializer = rmp_serde::Serializer::new(bytes).with_struct_map();
    value.serialize(&mut serializer).map_err(|error| Unreadable(error.to_string()))
}

/// Reads a value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match bytes.split_first() {
        Some((&FORM, value)) => rmp_serde::from_slice(value).map_err(|error| Unreadable(error.to_string())),
        Some((form, _)) => Err(Unreadable(format!("it is written in form {form}, this build reads form {FORM}"))),
        None => Err(Unreadable("it is empty".into())),
    }
}

#[cfg(test)]
mod tests;
