//! The journal: which units the commits of a shard held, in their order, and what decided them beside their records.
//!
//! A replay follows it. With every commit goes one record for each shard that it touches, to `<group>.journal`, and the number of the last one
//! stands in the shard's state. Where units commit by themselves, each leaves a note in the state, in its own commit; the notes become a record
//! when progress is folded.

mod page;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::planted::{Bug, is_planted};
use crate::ports::Entry;
use crate::state::{Ordered, RUNTIME_NAME, ScopeKey, Unreadable, decode, encode, entry_suffix, own_cell};
use crate::time::Timestamp;

pub use page::{Answered, Cause, Ending, Noted, Page, Step};

/// The cell that holds the number of the last page.
pub(crate) const JOURNAL: &str = "journal";
/// The map of the notes that single units left.
pub(crate) const NOTES: &str = "notes";
/// The event type of pages.
pub(crate) const PAGE: &str = "tidemill.journal-page";
/// Bytes of a page, roughly, after which the next one begins: every topic takes as many.
const PAGE_BYTES: usize = 200_000;
/// Bytes of an answer from outside that is kept, at the most.
pub(crate) const MOST_ANSWERED: usize = 64 * 1024;
/// Bytes of a step without what it was answered, at the most but for long keys.
const STEP_BYTES: usize = 40;

/// How far the journal of a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    number: u64,
    is_complete: bool,
}

/// What a unit tells of itself.
#[derive(Debug, Clone)]
pub(crate) struct Unit<'a> {
    pub(crate) cause: About<'a>,
    pub(crate) now: Timestamp,
    pub(crate) attempt: u32,
    pub(crate) ended: Ending,
    pub(crate) answers: Vec<Answered>,
}

/// What a unit handled.
#[derive(Debug, Clone)]
pub(crate) enum About<'a> {
    Record(&'a str, u64),
    Parked(Bytes),
    Timer(Vec<u8>),
}

/// What is gathered of the journal of one shard.
#[derive(Debug)]
pub(crate) struct Journal {
    is_on: bool,
    /// What stands in the state; nothing where there is no journal.
    last: Option<Last>,
    /// The page being written, those that are full, and about how many bytes it has.
    page: Page,
    full: Vec<Page>,
    bytes: usize,
    /// The notes of single units that these pages hold.
    notes: Vec<u64>,
    /// The number of the next note.
    next: u64,
}

/// What was found in a shard's state.
#[derive(Debug, Default)]
pub(crate) struct Found {
    last: Option<Last>,
    notes: BTreeMap<u64, Page>,
}

impl Found {
    /// Takes an entry of the journal's. `None` for one that cannot be read.
    pub(crate) fn take(&mut self, name: &str, entry: &[u8], value: &[u8]) -> Option<()> {
        if name == JOURNAL {
            self.last = Some(decode(value).ok()?);
        } else {
            self.notes.insert(u64::from_be_bytes(entry.try_into().ok()?), Page::read(value).ok()?);
        }
        Some(())
    }
}

impl Journal {
    /// The journal of a shard in whose state this was found. `is_fresh`: nothing else was.
    pub(crate) fn of(found: Found, is_on: bool, is_fresh: bool) -> Self {
        let Found { last, notes } = found;
        let next = notes.last_key_value().map_or(0, |(number, _)| number + 1);
        // The life that left the first notes may have ended before its first page.
        let is_complete = notes.first_key_value().map_or(is_fresh, |(_, first)| first.is_complete);
        let begins = Last { number: 0, is_complete };
        let last = if is_on { Some(last.unwrap_or(begins)) } else { last };
        let mut journal =
            Self { is_on, last, page: Page::default(), full: Vec::new(), bytes: 0, notes: Vec::new(), next };
        for (number, note) in notes {
            if is_on {
                journal.take_note(number, note);
            } else {
                journal.notes.push(number);
            }
        }
        journal
    }

    /// What in the state tells of a journal that is off now, and so misses what is done: it goes with the next commit.
    pub(crate) fn stale(&self) -> impl Iterator<Item = Bytes> {
        let notes = self.notes.iter().map(|number| note_suffix(*number));
        self.last.map(|_| own_cell(JOURNAL)).into_iter().chain(notes).filter(|_| !self.is_on)
    }

    /// Whether it has something for the next commit.
    pub(crate) const fn is_open(&self) -> bool {
        !self.page.steps.is_empty() || !self.full.is_empty()
    }

    /// A unit is part of the next commit.
    pub(crate) fn note(&mut self, unit: Unit<'_>) {
        let is_parked = matches!(unit.cause, About::Parked(_));
        if self.is_on && !(is_parked && is_planted(Bug::JournalForgetsParked)) {
            self.bytes += append(&mut self.page, unit);
            self.turn();
        }
    }

    /// The note that a unit leaves that commits by itself, and its number.
    pub(crate) fn single(&mut self, unit: Unit<'_>) -> Option<(u64, Page)> {
        if !self.is_on {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let is_complete = self.last.is_some_and(|last| last.is_complete);
        let mut page = Page { is_complete, ..Page::default() };
        append(&mut page, unit);
        Some((number, page))
    }

    /// The note of a unit that committed by itself is part of the next page.
    pub(crate) fn take_note(&mut self, number: u64, mut note: Page) {
        self.notes.push(number);
        for step in std::mem::take(&mut note.steps) {
            self.bytes += append(&mut self.page, unit_of(&note, step));
        }
        self.turn();
    }

    fn turn(&mut self) {
        if self.bytes >= PAGE_BYTES {
            self.full.push(std::mem::take(&mut self.page));
            self.bytes = 0;
        }
    }

    /// Takes what was gathered: pages for the journal's topic, and what changes in the state.
    pub(crate) fn freeze(&mut self) -> (Vec<Page>, Ordered<Option<Bytes>>) {
        let mut changes = Ordered::default();
        self.stale().for_each(|suffix| changes.insert(suffix, None));
        if !self.is_on {
            self.last = None;
            self.notes.clear();
        }
        let mut pages = std::mem::take(&mut self.full);
        if !self.page.steps.is_empty() {
            pages.push(std::mem::take(&mut self.page));
        }
        self.bytes = 0;
        let Some(last) = self.last.as_mut().filter(|_| !pages.is_empty()) else { return (pages, changes) };
        for page in &mut pages {
            if is_planted(Bug::JournalReversed) {
                page.steps.reverse();
            }
            last.number += 1;
            (page.number, page.is_complete) = (last.number, last.is_complete);
        }
        let value = encode(last).expect("a struct of plain parts can be written");
        changes.insert(own_cell(JOURNAL), Some(value.into()));
        for number in self.notes.drain(..) {
            changes.insert(note_suffix(number), None);
        }
        (pages, changes)
    }
}

/// Whether a state entry of a service is of its journal.
pub fn is_own(key: &[u8]) -> bool {
    ScopeKey::parse(key).is_some_and(|place| place.handler == RUNTIME_NAME && matches!(place.name, JOURNAL | NOTES))
}

/// How much of a journal the state of a shard holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// The number of the last page whose units it holds.
    pub number: u64,
    /// Units of later pages that it holds already: the topic of each, where it handled a record of the log, and what it handled.
    pub beyond: Vec<(String, Cause)>,
}

/// How much of its journal this state of a shard holds; `None` where the shard has none, or what tells cannot be read.
pub fn reach(entries: &[Entry]) -> Option<Reach> {
    let mut found = Found::default();
    for (key, value) in entries {
        let own = ScopeKey::parse(key).filter(|place| place.handler == RUNTIME_NAME);
        if let Some(place) = own.filter(|place| matches!(place.name, JOURNAL | NOTES)) {
            found.take(place.name, place.entry.unwrap_or_default(), value)?;
        }
    }
    let Found { last, notes } = found;
    if last.is_none() && notes.is_empty() {
        return None;
    }
    let beyond = notes.values().flat_map(|note| note.steps.iter().map(|step| note.unit(step))).collect();
    Some(Reach { number: last.map_or(0, |last| last.number), beyond })
}

/// What names a note in the state.
pub(crate) fn note_suffix(number: u64) -> Bytes {
    entry_suffix(NOTES, &number.to_be_bytes())
}

/// A step of a note, as what it tells.
fn unit_of(note: &Page, step: Step) -> Unit<'_> {
    match step {
        Step::Run(place, offset, _, later) => Unit {
            cause: About::Record(note.topic(place), offset),
            now: note.time(later),
            attempt: 1,
            ended: Ending::Done,
            answers: Vec::new(),
        },
        Step::Unit(Noted { cause, later, ended, attempt, answers }) => {
            let cause = match cause {
                Cause::Record(place, offset) => About::Record(note.topic(place), offset),
                Cause::Parked(lane) => About::Parked(lane.into()),
                Cause::Timer(when) => About::Timer(when),
            };
            Unit { cause, now: note.time(later), attempt, ended, answers }
        }
    }
}

/// Appends a unit; answers about how many bytes it takes.
fn append(page: &mut Page, unit: Unit<'_>) -> usize {
    let Unit { cause, now, attempt, ended, answers } = unit;
    if page.steps.is_empty() {
        page.at = now.as_millis();
    }
    let later = if is_planted(Bug::JournalTimeForgotten) { 0 } else { now.as_millis().saturating_sub(page.at) };
    let cause = match cause {
        About::Record(topic, offset) => {
            let place = page.place(topic);
            if attempt == 1 && ended == Ending::Done && answers.is_empty() {
                return run_on(page, place, offset, later);
            }
            Cause::Record(place, offset)
        }
        About::Parked(lane) => Cause::Parked(lane.into()),
        About::Timer(when) => Cause::Timer(when),
    };
    let answered: usize = answers.iter().map(Answered::bytes).sum();
    let named = if let Cause::Parked(name) | Cause::Timer(name) = &cause { name.len() } else { 0 };
    page.steps.push(Step::Unit(Noted { cause, later, ended, attempt, answers }));
    STEP_BYTES + named + answered
}

/// Appends a record that was done as most are.
fn run_on(page: &mut Page, place: u16, offset: u64, later: i64) -> usize {
    match page.steps.last_mut() {
        Some(Step::Run(known, first, count, by)) if (*known, *by, *first + *count) == (place, later, offset) => {
            *count += 1;
            0
        }
        _ => {
            page.steps.push(Step::Run(place, offset, 1, later));
            STEP_BYTES
        }
    }
}

/// Reads the record of a journal; `None` for one that is something else.
pub fn read(record: &crate::record::Record) -> Option<Result<Page, Unreadable>> {
    let is_page = record.headers.get(crate::headers::TYPE) == Some(PAGE.as_bytes());
    is_page.then(|| Page::read(record.value.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests;
