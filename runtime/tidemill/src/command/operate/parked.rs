//! `parked list` and `parked show`: records that wait, how long, and for what; and which of them can be released.

use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::internal::Wish;
use tidemill_core::parking::Waits;
use tidemill_core::time::Timestamp;

use super::act::Act;
use super::lot::Entry;
use super::shown::Whole;
use crate::command::site::Site;
use crate::command::{Output, table};

/// A parked record without its bytes.
#[derive(Serialize)]
struct Line<'a> {
    /// Where it came from.
    id: &'a str,
    service: &'a str,
    handler: &'a str,
    #[serde(rename = "type")]
    event: Option<&'a str>,
    key: Option<&'a str>,
    topic: String,
    partition: u32,
    offset: u64,
    since: String,
    age_seconds: u64,
    /// `behind` others of its key, a `time`, or an `operator`.
    waits: &'static str,
    /// Until when, where it waits for a time.
    until: Option<String>,
    /// The dead letter that holds it, where it waits for an operator and there is one.
    letter: Option<&'a str>,
    attempts: u32,
    first_failure: Option<String>,
    last_failure: Option<String>,
    class: Option<&'a str>,
    code: Option<&'a str>,
    fingerprint: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(entry: &'a Entry, now: Timestamp) -> Self {
        let (parked, position) = (&entry.parked, entry.parked.position());
        let at = |millis: i64| Timestamp::from_millis(millis).to_string();
        let past = parked.past.as_ref();
        let cause = past.map(|past| &past.cause);
        Self {
            id: &entry.id,
            service: &entry.service,
            handler: &parked.handler,
            event: entry.event(),
            key: entry.key(),
            topic: position.source.topic.to_string(),
            partition: position.source.partition,
            offset: position.offset,
            since: at(parked.since),
            age_seconds: now.since(Timestamp::from_millis(parked.since)).as_secs(),
            waits: entry.waits(),
            until: if let Waits::Until(until) = parked.waits { Some(at(until)) } else { None },
            letter: match &parked.waits {
                Waits::Held { letter } if !letter.is_empty() => Some(letter),
                _ => None,
            },
            attempts: past.map_or(0, |past| past.attempts),
            first_failure: past.map(|past| at(past.first)),
            last_failure: past.map(|past| at(past.last)),
            class: cause.map(|cause| cause.class.as_str()),
            code: cause.map(|cause| cause.code.as_str()),
            fingerprint: cause.map(|cause| cause.fingerprint.as_str()),
            message: cause.map(|cause| cause.message.as_str()),
        }
    }

    /// What it waits for, for people.
    fn waits_for(&self) -> String {
        match (self.waits, &self.until, self.letter) {
            (_, Some(until), _) => format!("until {until}"),
            (_, _, Some(letter)) => format!("operator, letter {letter}"),
            (waits, ..) => waits.to_owned(),
        }
    }
}

pub(super) fn list(site: &Site, entries: &[Entry], output: Output) -> Result<Exit, Coded> {
    let now = site.host.clock().now();
    let lines: Vec<Line<'_>> = entries.iter().map(|entry| Line::of(entry, now)).collect();
    let titles = ["id", "service", "handler", "key", "age", "waits", "code", "message"];
    table::list(&lines, output, titles, |line| {
        [
            line.id.to_owned(),
            line.service.to_owned(),
            line.handler.to_owned(),
            line.key.unwrap_or("-").to_owned(),
            format!("{}s", line.age_seconds),
            line.waits_for(),
            line.code.unwrap_or("-").to_owned(),
            line.message.unwrap_or_default().to_owned(),
        ]
    })
}

pub(super) fn show(site: &Site, entries: &[Entry], output: Output) -> Result<Exit, Coded> {
    let now = site.host.clock().now();
    entries.iter().try_for_each(|entry| Whole::of(Line::of(entry, now), &entry.record).print(text, output))?;
    Ok(Exit::Done)
}

fn text(line: &Line<'_>) -> Vec<String> {
    let mut lines = vec![
        format!("parked record {}", line.id),
        format!("service {}, handler {}", line.service, line.handler),
        format!("since {}, waits: {}", line.since, line.waits_for()),
    ];
    if let (Some(code), Some(class), Some(fingerprint)) = (line.code, line.class, line.fingerprint) {
        let (first, last) = (line.first_failure.as_deref(), line.last_failure.as_deref());
        lines.push(format!(
            "failed {} times, from {} to {}",
            line.attempts,
            first.unwrap_or_default(),
            last.unwrap_or_default()
        ));
        lines.push(format!("{code} ({class}), fingerprint {fingerprint}: {}", line.message.unwrap_or_default()));
    }
    lines
}

/// What releases these records. Only the first of a key can be released: one that was named and waits behind another is an error
/// (TM-0409), and of those that merely match, the others are passed over.
pub(super) fn releases(entries: Vec<Entry>, named: &[String]) -> Result<Vec<Act>, Coded> {
    let nothing = |message: String| Err(Coded::new(Code::NOTHING_MATCHES, message));
    let (behind, first): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.parked.waits == Waits::Behind);
    if let Some(entry) = behind.iter().find(|entry| named.contains(&entry.id)) {
        return nothing(format!("{} waits behind others of its key; release the first of them", entry.id));
    }
    if first.is_empty() {
        return nothing("all that match wait behind others of their keys; release the first of each".to_owned());
    }
    Ok(first.into_iter().map(|entry| Act::on_parked(entry, Wish::Release)).collect())
}
