//! Record headers: their names, and one compact block that holds them.
//!
//! A block is a run of headers. Each begins with a byte: a header whose name is in [`KNOWN`] is written as its place in
//! that list plus one; any other begins with 0, the length of its name and the name. The length of the value plus one
//! follows (0: no value), then the value. Lengths are LEB128 varints. Blocks are stored on disk by the embedded log, so
//! [`KNOWN`] may only grow at its end.

use std::fmt;

use bytes::Bytes;

/// `CloudEvents` version, always `1.0`.
pub const SPEC_VERSION: &str = "ce_specversion";
/// The event type's name.
pub const TYPE: &str = "ce_type";
/// The event's id, unique within its source.
pub const ID: &str = "ce_id";
/// Who emitted the event.
pub const SOURCE: &str = "ce_source";
/// When the event was emitted, RFC 3339.
pub const TIME: &str = "ce_time";
/// How the value is encoded.
pub const CONTENT_TYPE: &str = "content-type";
/// The record key, as text, where it is text.
pub const PARTITION_KEY: &str = "ce_partitionkey";
/// The id of the event that began the whole process.
pub const CORRELATION_ID: &str = "ce_correlationid";
/// The id of the event whose handling emitted this one.
pub const CAUSATION_ID: &str = "ce_causationid";
/// W3C trace context.
pub const TRACE_PARENT: &str = "traceparent";

/// The handler of the service that a record of its internal topic is meant for.
pub const HANDLER: &str = "tm-handler";
/// Who gets the reply to a command: a service and its handler.
pub const REPLY_TO: &str = "tm-reply-to";
/// The key under which the reply is to stand.
pub const REPLY_KEY: &str = "tm-reply-key";
/// The id of the command that a reply is to.
pub const IN_REPLY_TO: &str = "tm-in-reply-to";

/// The id of a dead letter: the same for each time that its record fails again.
pub const DL_ID: &str = "tm-dl-id";
/// How many times its record failed for good, from 1.
pub const DL_ROUND: &str = "tm-dl-round";
/// The service that wrote it.
pub const DL_GROUP: &str = "tm-dl-group";
/// The handler that failed; absent where no handler takes the record.
pub const DL_HANDLER: &str = "tm-dl-handler";
/// The topic the record came from.
pub const DL_TOPIC: &str = "tm-dl-topic";
/// Its partition there.
pub const DL_PARTITION: &str = "tm-dl-partition";
/// Its offset there.
pub const DL_OFFSET: &str = "tm-dl-offset";
/// Its timestamp there, RFC 3339; the dead letter has the same.
pub const DL_TIMESTAMP: &str = "tm-dl-timestamp";
/// What stands for its id where its own headers name none.
pub const DL_OWN_ID: &str = "tm-dl-own-id";
/// How many attempts there were.
pub const DL_ATTEMPTS: &str = "tm-dl-attempts";
/// When the first failed, RFC 3339.
pub const DL_FIRST_FAILURE: &str = "tm-dl-first-failure";
/// When the last failed, RFC 3339.
pub const DL_LAST_FAILURE: &str = "tm-dl-last-failure";
/// The class of the last failure.
pub const DL_CLASS: &str = "tm-dl-class";
/// The code of the last failure.
pub const DL_CODE: &str = "tm-dl-code";
/// The same for all failures of one kind.
pub const DL_FINGERPRINT: &str = "tm-dl-fingerprint";
/// The message of the last failure, short and redacted.
pub const DL_MESSAGE: &str = "tm-dl-message";
/// What its key does: `continue` or `hold`.
pub const DL_THEN: &str = "tm-dl-then";
/// An earlier round: when it failed, its code, fingerprint and message. One for each, oldest first.
pub const DL_HISTORY: &str = "tm-dl-history";
/// How many of the headers are the record's own; those of the dead letter come behind them.
pub const DL_HEADERS: &str = "tm-dl-headers";

/// The names that take one byte in a block. Append only.
pub const KNOWN: [&str; 14] = [
    SPEC_VERSION,
    TYPE,
    ID,
    SOURCE,
    TIME,
    CONTENT_TYPE,
    PARTITION_KEY,
    CORRELATION_ID,
    CAUSATION_ID,
    TRACE_PARENT,
    HANDLER,
    REPLY_TO,
    REPLY_KEY,
    IN_REPLY_TO,
];

/// The headers of a record: a view on an encoded block.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(Bytes);

impl Headers {
    /// Wraps an encoded block. What cannot be read ends the iteration; use [`Headers::is_whole`] on foreign bytes.
    pub const fn from_bytes(block: Bytes) -> Self {
        Self(block)
    }

    /// Builds a block from names and values.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Self {
        let mut block = Vec::new();
        for (name, value) in pairs {
            write(&mut block, name, value);
        }
        Self(block.into())
    }

    /// The encoded block.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether every byte of the block belongs to a readable header.
    pub fn is_whole(&self) -> bool {
        let mut iter = self.iter();
        while iter.next().is_some() {}
        iter.rest.is_empty()
    }

    /// The headers in the order they were written.
    pub fn iter(&self) -> Iter<'_> {
        iter(&self.0)
    }

    /// The value of the first header of that name that has one.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        find(&self.0, name)
    }

    /// As [`Headers::get`] for several names, in one pass.
    pub fn get_all<'a, const N: usize>(&'a self, names: [&str; N]) -> [Option<&'a [u8]>; N] {
        let (mut found, mut missing) = ([None; N], N);
        for (name, value) in self {
            let Some(value) = value else { continue };
            let place = names.iter().position(|wanted| *wanted == name);
            if let Some(place) = place.filter(|place| found[*place].is_none()) {
                found[place] = Some(value);
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        found
    }

    /// The value of the first header of that name, where it is UTF-8 text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, Option<&'a [u8]>);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.map(String::from_utf8_lossy)))).finish()
    }
}

/// The value of the first header of that name in an encoded block that has one.
pub fn find<'b>(block: &'b [u8], name: &str) -> Option<&'b [u8]> {
    iter(block).find_map(|(found, value)| if found == name { value } else { None })
}

/// The headers of an encoded block, in the order they were written.
pub fn iter(block: &[u8]) -> Iter<'_> {
    Iter { rest: block }
}

/// Goes through the headers of a block.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    /// Reads one header; `None` leaves `rest` undefined.
    fn read(rest: &mut &'a [u8]) -> Option<(&'a str, Option<&'a [u8]>)> {
        let (&first, tail) = rest.split_first()?;
        *rest = tail;
        let name = if first == 0 {
            let length = read_varint(rest)?;
            std::str::from_utf8(take(rest, length)?).ok()?
        } else {
            KNOWN.get(usize::from(first) - 1)?
        };
        let value = match read_varint(rest)? {
            0 => None,
            length => Some(take(rest, length - 1)?),
        };
        Some((name, value))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest;
        let header = Self::read(&mut rest)?;
        self.rest = rest;
        Some(header)
    }
}

/// Appends one header to a block.
pub fn write(block: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    if let Some(place) = KNOWN.iter().position(|known| *known == name) {
        block.push(u8::try_from(place + 1).expect("fewer than 255 known names"));
    } else {
        block.push(0);
        write_varint(block, name.len());
        block.extend_from_slice(name.as_bytes());
    }
    match value {
        None => block.push(0),
        Some(value) => {
            write_varint(block, value.len() + 1);
            block.extend_from_slice(value);
        }
    }
}

/// Appends a length as an LEB128 varint.
pub fn write_varint(into: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        into.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    into.push(value.to_le_bytes()[0]);
}

/// Takes an LEB128 varint off the front. `None` for one that is cut, that is longer than its value needs, or whose value does
/// not fit: a number has one form.
pub fn read_varint(from: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, tail) = from.split_first()?;
        *from = tail;
        let bits = usize::from(byte & 0x7f);
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return (value >> shift == bits && (bits > 0 || shift == 0)).then_some(value);
        }
    }
    None
}

fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = from.split_at_checked(length)?;
    *from = tail;
    Some(head)
}

#[cfg(test)]
mod tests;
