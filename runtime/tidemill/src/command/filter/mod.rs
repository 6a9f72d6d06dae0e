//! The language of `--where`: which dead letters and parked records are meant.
//!
//! ```text
//! either     = both { "or" both }
//! both       = one { "and" one }
//! one        = "not" one | "(" either ")" | field comparison value
//! comparison = "=" | "!=" | "<" | ">" | "~"
//! value      = a word, or text in double quotes with \" and \\
//! ```
//!
//! `~` means that the text holds the value somewhere. Times are RFC 3339.

mod reading;

use std::fmt;

use tidemill_core::time::Timestamp;

pub(super) use reading::Misread;

/// What can be asked of a letter or a parked record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// The letter's id; of a parked record, where it came from.
    Id,
    Service,
    Handler,
    /// The event type.
    Type,
    Key,
    Topic,
    Class,
    Code,
    Fingerprint,
    Message,
    /// What becomes of the letter, or what the parked record waits for.
    State,
    Partition,
    Offset,
    Attempts,
    Round,
    /// When the last attempt failed; of a parked record, since when it is parked.
    Time,
}

/// What is compared with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Time,
}

impl Field {
    const ALL: [(&'static str, Self); 16] = [
        ("id", Self::Id),
        ("service", Self::Service),
        ("handler", Self::Handler),
        ("type", Self::Type),
        ("key", Self::Key),
        ("topic", Self::Topic),
        ("class", Self::Class),
        ("code", Self::Code),
        ("fingerprint", Self::Fingerprint),
        ("message", Self::Message),
        ("state", Self::State),
        ("partition", Self::Partition),
        ("offset", Self::Offset),
        ("attempts", Self::Attempts),
        ("round", Self::Round),
        ("time", Self::Time),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, field)| *field == self).map_or("", |(name, _)| name)
    }

    fn kind(self) -> Kind {
        match self {
            Self::Partition | Self::Offset | Self::Attempts | Self::Round => Kind::Number,
            Self::Time => Kind::Time,
            _ => Kind::Text,
        }
    }
}

/// What a letter or a parked record answers when it is asked for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact<'a> {
    /// It has none: only `!=` holds.
    Nothing,
    Text(&'a str),
    Number(u64),
    Time(Timestamp),
}

/// How a field and a value are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Is,
    IsNot,
    Less,
    More,
    Holds,
}

impl Comparison {
    const ALL: [(&'static str, Self); 5] =
        [("!=", Self::IsNot), ("=", Self::Is), ("<", Self::Less), (">", Self::More), ("~", Self::Holds)];

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparison)| *comparison == self).map_or("", |(sign, _)| sign)
    }
}

/// A value as it was given, of the field's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(u64),
    Time(Timestamp),
}

/// An expression of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    Either(Vec<Self>),
    Both(Vec<Self>),
    Not(Box<Self>),
    Compared(Compared),
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    field: Field,
    comparison: Comparison,
    value: Value,
}

impl Filter {
    /// Reads an expression. The error names the place at which it cannot be read.
    pub(super) fn parse(text: &str) -> Result<Self, Misread> {
        reading::parse(text)
    }

    /// Whether it holds for what answers so.
    pub(super) fn holds<'a>(&self, fact: &dyn Fn(Field) -> Fact<'a>) -> bool {
        match self {
            Self::Either(parts) => parts.iter().any(|part| part.holds(fact)),
            Self::Both(parts) => parts.iter().all(|part| part.holds(fact)),
            Self::Not(part) => !part.holds(fact),
            Self::Compared(compared) => compared.holds(fact(compared.field)),
        }
    }
}

impl Compared {
    fn holds(&self, fact: Fact<'_>) -> bool {
        let order = match (&self.value, fact) {
            (Value::Text(wanted), Fact::Text(text)) if self.comparison == Comparison::Holds => {
                return text.contains(wanted);
            }
            (Value::Text(wanted), Fact::Text(text)) => text.cmp(wanted),
            (Value::Number(wanted), Fact::Number(number)) => number.cmp(wanted),
            (Value::Time(wanted), Fact::Time(time)) => time.cmp(wanted),
            _ => return self.comparison == Comparison::IsNot,
        };
        match self.comparison {
            Comparison::Is => order.is_eq(),
            Comparison::IsNot => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::More => order.is_gt(),
            Comparison::Holds => false,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (place, part) in parts.iter().enumerate() {
                if place > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::Either(_) | Self::Both(_) => write!(f, "({part})")?,
                    Self::Not(_) | Self::Compared(_) => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Either(all) => parts(f, all, "or"),
            Self::Both(all) => parts(f, all, "and"),
            Self::Not(part) => {
                f.write_str("not ")?;
                parts(f, std::slice::from_ref(part), "")
            }
            Self::Compared(Compared { field, comparison, value }) => {
                write!(f, "{} {} ", field.name(), comparison.sign())?;
                match value {
                    Value::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
                    Value::Number(number) => write!(f, "{number}"),
                    Value::Time(time) => write!(f, "{time}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
