//! The key that a client gives to a request, so that it may send it again.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The most characters of a key.
pub(crate) const LONGEST: usize = 255;
/// Bytes of a digest that make the id of an order: nobody finds two keys that share them.
const ID_BYTES: usize = 16;

/// The value of a header `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Reads a value: a string in quotes, as the IETF's draft (`draft-ietf-httpapi-idempotency-key-header`) wants it, or the same without
    /// quotes, as most clients send it. Answers with what is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        let text = text.ok_or("it has characters that are not printable ASCII")?.trim_matches(' ');
        let key = match text.strip_prefix('"') {
            Some(rest) => unquoted(rest)?,
            None if text.contains([' ', '"', ',', ';']) => {
                return Err("a key with spaces, quotes, commas or semicolons has to stand in quotes".to_owned());
            }
            None => text.to_owned(),
        };
        match key.len() {
            0 => Err("it is empty".to_owned()),
            length if length > LONGEST => Err(format!("it has {length} characters; up to {LONGEST} can be")),
            _ => Ok(Self(key)),
        }
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the order that is placed with this key: the same whenever and wherever that is.
    pub fn order_id(&self) -> String {
        let digest = Sha256::new().chain_update("storefront order\0").chain_update(&self.0).finalize();
        digest.iter().take(ID_BYTES).fold(String::with_capacity(2 * ID_BYTES), |mut id, byte| {
            write!(id, "{byte:02x}").expect("a text takes what is written");
            id
        })
    }
}

/// Whether a text has the form of an order's id.
pub(crate) fn is_order_id(text: &str) -> bool {
    text.len() == 2 * ID_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A string of RFC 9651, section 4.2.5, whose first quote was taken.
fn unquoted(rest: &str) -> Result<String, String> {
    let (mut key, mut letters) = (String::with_capacity(rest.len()), rest.chars());
    loop {
        match letters.next() {
            Some('\\') => match letters.next() {
                Some(letter @ ('"' | '\\')) => key.push(letter),
                _ => return Err("a backslash stands before a quote or another backslash only".to_owned()),
            },
            Some('"') if letters.as_str().is_empty() => return Ok(key),
            Some('"') => return Err("something follows behind the quotes".to_owned()),
            Some(letter) => key.push(letter),
            None => return Err("its quotes do not end".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
