//! Bytes as people read them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidemill_core::state::decode;

/// Bytes: as text where they are that, and otherwise in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Said {
    Text(String),
    Base64(String),
}

impl Said {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            // What a terminal would act on is no text.
            Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => Self::Text(text.to_owned()),
            _ => Self::Base64(BASE64.encode(bytes)),
        }
    }

    /// In base64, whatever they are.
    pub(crate) fn base64(bytes: &[u8]) -> Self {
        Self::Base64(BASE64.encode(bytes))
    }

    /// The bytes again; `None` for text that is no base64.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => BASE64.decode(text).ok(),
        }
    }

    pub(crate) fn to_line(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Base64(text) => format!("base64:{text}"),
        }
    }
}

/// A value of a state as JSON. Bytes within it are shown as what they hold, where that is another value, and else as [`Said`].
pub(crate) fn stored(bytes: &[u8]) -> Option<Value> {
    decode::<Loose>(bytes).ok().map(|Loose(value)| value)
}

/// The key of a map's entry: as text where it is that, and otherwise as the number that its bytes are, in hex.
pub(crate) fn entry(bytes: &[u8]) -> Value {
    match Said::of(bytes) {
        Said::Text(text) => Value::String(text),
        Said::Base64(_) => Value::String(bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))),
    }
}

/// A value of any form.
struct Loose(Value);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Loosely).map(Self)
    }
}

struct Loosely;

impl<'de> Visitor<'de> for Loosely {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(stored(value).unwrap_or_else(|| Value::String(Said::of(value).to_line())))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Loose(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((Loose(key), Loose(value))) = entries.next_entry()? {
            let key = if let Value::String(text) = key { text } else { key.to_string() };
            all.insert(key, value);
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests;
