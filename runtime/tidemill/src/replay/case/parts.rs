//! What a case holds beside its record: entries of state, answers of calls.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_core::code::Coded;
use tidemill_core::journal::Answered;
use tidemill_core::ports::{Change, Entry};
use tidemill_core::state::{ScopeKey, is_own};

use super::unusable;
use crate::said::{self, Said};

/// An entry of the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    key: Said,
    value: Said,
    /// For whoever reads it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    shows: Option<(String, Value)>,
}

/// What a call to the outside was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    answer: Option<Said>,
    /// Whether that was for good, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    error: Option<(bool, String)>,
}

/// What is said, in bytes.
pub(super) fn bytes(said: &Said) -> Result<Vec<u8>, Coded> {
    said.to_bytes().ok_or_else(|| unusable(format!("{} is no base64", said.to_line())))
}

impl Kept {
    pub(super) fn of((key, value): &Entry) -> Self {
        let place = ScopeKey::parse(key).filter(|place| !is_own(place.handler));
        let shows = place.and_then(|place| {
            let entry = place.entry.map(|entry| format!("[{}]", said::entry(entry))).unwrap_or_default();
            Some((format!("{}{entry}", place.name), said::stored(value)?))
        });
        Self { key: Said::base64(key), value: Said::base64(value), shows }
    }

    pub(super) fn change(&self) -> Result<Change, Coded> {
        Ok(Change { key: bytes(&self.key)?.into(), value: Some(bytes(&self.value)?.into()) })
    }
}

impl Call {
    pub(super) fn of(answered: Answered) -> Self {
        let Answered { name, value, error } = answered;
        Self { name, answer: value.as_deref().map(Said::base64), error }
    }

    pub(super) fn answered(&self) -> Result<Answered, Coded> {
        let value = self.answer.as_ref().map(bytes).transpose()?;
        Ok(Answered { name: self.name.clone(), value, error: self.error.clone() })
    }
}
