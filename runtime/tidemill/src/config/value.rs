//! What configuration values look like: text in every layer, with units.

use std::time::Duration;

use tidemill_core::ports::Start;
use tidemill_core::time::Timestamp;

/// The kinds of values there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text but none.
    Text,
    /// A whole number.
    Count { least: u64, most: u64 },
    /// A time with its unit.
    Duration { least_millis: u64 },
    /// A number of bytes with its unit.
    Size { least: u64 },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `commit`, `never`, or a time.
    Sync,
    /// A time, or `none`.
    AgeOrNone,
    /// A number of bytes, or `none`.
    SizeOrNone,
    /// Where a service begins.
    Start,
    /// What is logged.
    Levels,
}

/// A value, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Text or a word, as it was given.
    Text,
    Count(u64),
    Duration(Duration),
    Bytes(u64),
}

/// Log levels by name.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Units of time and what they are in microseconds.
const TIME_UNITS: &[(&str, u64)] =
    &[("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 24 * 3_600_000_000)];

/// Units of size and what they are in bytes.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Kind {
    /// Reads a value; `None` when it is not one of this kind.
    pub(super) fn read(self, text: &str) -> Option<Value> {
        let text = text.trim();
        let word = |words: &[&str]| words.contains(&text).then_some(Value::Text);
        match self {
            Self::Text => (!text.is_empty()).then_some(Value::Text),
            Self::Count { least, most } => {
                let count = text.parse().ok()?;
                (least..=most).contains(&count).then_some(Value::Count(count))
            }
            Self::Duration { least_millis } => {
                duration(text).filter(|time| *time >= Duration::from_millis(least_millis)).map(Value::Duration)
            }
            Self::Size { least } => size(text).filter(|bytes| *bytes >= least).map(Value::Bytes),
            Self::Choice(words) => word(words),
            Self::Sync => word(&["commit", "never"]).or_else(|| Kind::Duration { least_millis: 1 }.read(text)),
            Self::AgeOrNone => word(&["none"]).or_else(|| Kind::Duration { least_millis: 1 }.read(text)),
            Self::SizeOrNone => word(&["none"]).or_else(|| Kind::Size { least: 1 }.read(text)),
            Self::Start => start(text).map(|_| Value::Text),
            Self::Levels => text.split(',').all(is_level).then_some(Value::Text),
        }
    }

    /// What a value of this kind has to be, in words.
    pub(super) fn expected(self) -> String {
        let quoted = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let time = "a time such as `50ms`, `2s`, `1m` or `24h`";
        let bytes = "a size such as `64KiB`, `8MiB` or `4MB`";
        match self {
            Self::Text => "text".into(),
            Self::Count { least, most } => format!("a number from {least} to {most}"),
            Self::Duration { least_millis: 0 } => time.into(),
            Self::Duration { least_millis } => format!("{time}, {least_millis}ms or longer"),
            Self::Size { least: 0 } => bytes.into(),
            Self::Size { least } => format!("{bytes}, {least}B or more"),
            Self::Choice(words) => format!("one of {}", quoted(words)),
            Self::Sync => format!("`commit`, `never`, or {time}"),
            Self::AgeOrNone => format!("`none`, or {time}"),
            Self::SizeOrNone => format!("`none`, or {bytes}"),
            Self::Start => "`earliest`, `latest`, or a time such as `@2011-12-09T12:50:00Z`".into(),
            Self::Levels => format!("one of {}, or levels by target", quoted(LEVELS)),
        }
    }
}

/// Reads where a service begins.
pub(crate) fn start(text: &str) -> Option<Start> {
    match text {
        "earliest" => Some(Start::Earliest),
        "latest" => Some(Start::Latest),
        _ => Timestamp::parse(text.strip_prefix('@')?).map(Start::Time),
    }
}

/// Whether a part of `log.level` is a level, or a target with its level.
fn is_level(part: &str) -> bool {
    let level = part.rsplit_once('=').map_or(part, |(target, level)| if target.is_empty() { "" } else { level });
    LEVELS.contains(&level.trim())
}

/// Reads a time such as `50ms`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    with_unit(text, TIME_UNITS).map(Duration::from_micros)
}

/// Reads a size such as `8MiB`, in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    with_unit(text, SIZE_UNITS)
}

/// Reads a whole number with one of these units, in the smallest of them.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests;
