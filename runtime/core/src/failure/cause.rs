//! What a failure says, short and without what it may have been about.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::code::Coded;
use crate::failure::ErrorClass;
use crate::id::digest;

/// The most characters of a message that are kept.
const LONGEST: usize = 200;
/// What stands for a part of a message that may be somebody's.
const GONE: &str = "#";
/// From so many characters on, a word with a digit in it may be an id.
const ID: usize = 6;

/// Why a record failed, as it is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The class's name.
    pub class: String,
    /// The error's code.
    pub code: String,
    /// The message, redacted.
    pub message: String,
    /// The same for all failures of one kind: 16 hex digits over handler, code and redacted message.
    pub fingerprint: String,
}

impl Cause {
    /// Of a failure of a handler, with what the handler itself said.
    pub(crate) fn new(handler: &str, class: ErrorClass, cause: &Coded, said: &str) -> Self {
        let (code, message) = (cause.code.to_string(), redacted(said));
        let mut fingerprint = String::new();
        for byte in &digest(&[handler.as_bytes(), code.as_bytes(), message.as_bytes()])[..8] {
            let _ = write!(fingerprint, "{byte:02x}");
        }
        Self { class: class.name().to_owned(), code, message, fingerprint }
    }
}

/// A message without what may be secret or personal: what stands in quotes, words that hold an `@`, numbers of three digits and
/// more, and longer words with a digit in them become `#`. At most 200 characters stay. What is left tells failures of one kind
/// from others, and is the same for all of them.
pub fn redacted(message: &str) -> String {
    let mut text = String::new();
    let mut rest = message;
    while let Some(place) = rest.find(['"', '`', '\'']) {
        let quote = rest[place..].chars().next().expect("it was found");
        let (before, quoted) = (&rest[..place], &rest[place + quote.len_utf8()..]);
        // An apostrophe is no quote.
        let opens = quote != '\'' || !before.ends_with(char::is_alphanumeric);
        if let Some(end) = quoted.find(quote).filter(|_| opens) {
            text.push_str(before);
            text.push_str(GONE);
            rest = &quoted[end + quote.len_utf8()..];
        } else {
            text.push_str(&rest[..place + quote.len_utf8()]);
            rest = quoted;
        }
    }
    text.push_str(rest);
    let words = text.split_whitespace().map(|word| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_code = word.starts_with("TM-");
        let may_be_an_id = digits > 2 || digits > 0 && word.chars().count() >= ID || word.contains('@');
        if may_be_an_id && !is_code { GONE } else { word }
    });
    let mut short = String::new();
    for word in words {
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
    }
    short.chars().take(LONGEST).collect()
}
