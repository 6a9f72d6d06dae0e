//! What two events say, field by field.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tidemill_core::headers::{self, Headers};
use tidemill_core::service::Service;

use crate::said::Said;

/// A field in which two events differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name: `key`, `header.NAME`, `value`, or the path of a field of the value such as `total_milli`.
    pub name: String,
    /// What was emitted then; nothing where it was not there.
    pub then: Option<Value>,
    /// What is emitted now.
    pub now: Option<Value>,
}

/// An event as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'w> {
    pub(super) key: Option<&'w [u8]>,
    pub(super) headers: &'w [u8],
    pub(super) value: Option<&'w [u8]>,
}

/// The fields in which two events of a topic differ, but for those that are ignored.
pub(super) fn differ(
    service: &Service,
    topic: &str,
    then: Written<'_>,
    now: Written<'_>,
    ignored: &[String],
) -> Vec<Field> {
    let (then, now) = (laid_out(service, topic, then), laid_out(service, topic, now));
    let names = then.keys().chain(now.keys().filter(|name| !then.contains_key(*name)));
    let differs = names.filter(|name| then.get(*name) != now.get(*name) && !is_ignored(name, ignored));
    differs
        .map(|name| Field { name: name.clone(), then: then.get(name).cloned(), now: now.get(name).cloned() })
        .collect()
}

/// A name that is ignored takes with it what lies within.
fn is_ignored(name: &str, ignored: &[String]) -> bool {
    ignored.iter().any(|ignored| {
        name.strip_prefix(ignored.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

fn laid_out(service: &Service, topic: &str, written: Written<'_>) -> BTreeMap<String, Value> {
    let block = Headers::from_bytes(Bytes::copy_from_slice(written.headers));
    let mut fields = BTreeMap::new();
    fields.insert("key".to_owned(), shown(written.key));
    for (name, value) in &block {
        fields.insert(format!("header.{name}"), shown(value));
    }
    let value = written.value.map(Bytes::copy_from_slice);
    match value.as_ref().and_then(|value| service.shown(topic, block.text(headers::TYPE), value)) {
        Some(value @ Value::Object(_)) => spread(&value, String::new(), &mut fields),
        Some(other) => drop(fields.insert("value".to_owned(), other)),
        None => drop(fields.insert("value".to_owned(), shown(written.value))),
    }
    fields
}

/// Bytes for people.
pub(crate) fn shown(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| Value::String(Said::of(bytes).to_line()))
}

/// Each field within a value, by its path.
fn spread(value: &Value, path: String, fields: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            for (name, value) in inner {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                spread(value, path, fields);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (place, value) in items.iter().enumerate() {
                spread(value, format!("{path}[{place}]"), fields);
            }
        }
        _ => drop(fields.insert(path, value.clone())),
    }
}

#[cfg(test)]
mod tests;
