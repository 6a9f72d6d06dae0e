//! Codecs: how an event becomes the value of a record, and back.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::code::Coded;
use crate::event::Event;

/// Why a value could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(pub String);

/// Writes events of type `E` as bytes and reads them back.
///
/// Contract: what `encode` wrote, `decode` of the same build reads; `decode` answers any bytes with a value or an error,
/// never with a panic and never with more memory than a small multiple of the input.
pub trait Codec<E>: Send + Sync + Sized + 'static {
    /// What the `content-type` header says of values written by this codec.
    const CONTENT_TYPE: &'static str;

    /// Makes the codec once, when a service starts. A schema that does not fit the type is an error here, not later.
    fn open() -> Result<Self, Coded>;

    /// Appends the event's bytes.
    fn encode(&self, event: &E, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads an event.
    fn decode(&self, value: &Bytes) -> Result<E, CodecError>;

    /// A value as people read it, field by field; `None` where it cannot be shown so. It is for tools alone.
    fn shown(&self, _value: &Bytes) -> Option<serde_json::Value> {
        None
    }

    /// The schema that values are written in, where a registry can hold it.
    fn schema(&self) -> Option<&str> {
        None
    }

    /// From now on, values name the schema that they are written in by this id of a registry.
    fn name_schema(&self, _id: u32) {}

    /// The id of the registered schema without which this value cannot be read. Asked for every value, so it has to be quick.
    fn missing(&self, _value: &[u8]) -> Option<u32> {
        None
    }

    /// From now on, values are read that name this registered schema. One that does not fit the event's type is an error.
    fn learn(&self, _id: u32, _schema: &str) -> Result<(), CodecError> {
        Ok(())
    }
}

/// JSON, as `serde_json` writes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl<E: Event + Serialize + DeserializeOwned> Codec<E> for Json {
    const CONTENT_TYPE: &'static str = "application/json";

    fn open() -> Result<Self, Coded> {
        Ok(Self)
    }

    fn encode(&self, event: &E, into: &mut Vec<u8>) -> Result<(), CodecError> {
        serde_json::to_writer(into, event).map_err(|error| CodecError(error.to_string()))
    }

    fn decode(&self, value: &Bytes) -> Result<E, CodecError> {
        serde_json::from_slice(value).map_err(|error| CodecError(error.to_string()))
    }

    fn shown(&self, value: &Bytes) -> Option<serde_json::Value> {
        serde_json::from_slice(value).ok()
    }
}

/// Bytes as they are, for events that bring their own form.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl<E: Event + AsRef<[u8]> + From<Bytes>> Codec<E> for Raw {
    const CONTENT_TYPE: &'static str = "application/octet-stream";

    fn open() -> Result<Self, Coded> {
        Ok(Self)
    }

    fn encode(&self, event: &E, into: &mut Vec<u8>) -> Result<(), CodecError> {
        into.extend_from_slice(event.as_ref());
        Ok(())
    }

    fn decode(&self, value: &Bytes) -> Result<E, CodecError> {
        Ok(E::from(value.clone()))
    }
}

#[cfg(test)]
mod tests;
