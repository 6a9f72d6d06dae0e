//! What a journal holds of a range, before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::code::{Code, Coded};
use crate::journal::{Cause, Noted, Page, Step};
use crate::ports::Topics;
use crate::record::TopicPartition;
use crate::replay::log::Pages;
use crate::time::Timestamp;

/// Which records of one shard are meant, by topic. A topic that is not named is meant as a whole, and so is what has no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset of each topic that is meant.
    pub from: BTreeMap<Arc<str>, u64>,
    /// The first offset behind those that are meant.
    pub to: BTreeMap<Arc<str>, u64>,
}

impl Bounds {
    /// Whether this record is meant.
    pub fn hold(&self, topic: &str, offset: u64) -> bool {
        self.meant(topic, offset, 1) == 1
    }

    /// How many are meant of so many records.
    fn meant(&self, topic: &str, first: u64, count: u64) -> u64 {
        let from = self.from.get(topic).copied().unwrap_or(0).max(first);
        let to = self.to.get(topic).copied().unwrap_or(u64::MAX).min(first.saturating_add(count));
        to.saturating_sub(from)
    }

    /// How many units of a page are meant. What stands in no log, such as a timer, belongs to what is around it, and has no bound of its own.
    fn units(&self, page: &Page) -> u64 {
        let of = |step: &Step| match step {
            Step::Run(place, first, count, _) => self.meant(page.topic(*place), *first, *count),
            Step::Unit(Noted { cause: Cause::Record(place, offset), .. }) => self.meant(page.topic(*place), *offset, 1),
            Step::Unit(_) => u64::from(self.from.is_empty() && self.to.is_empty()),
        };
        page.steps.iter().map(of).sum()
    }
}

/// A page, and where it stands in the journal.
#[derive(Debug, Clone, Copy)]
struct PageAt {
    offset: u64,
    number: u64,
    is_complete: bool,
    units: u64,
    at: Timestamp,
}

/// What a journal holds of a range.
#[derive(Debug, Clone)]
pub struct Survey {
    journal: TopicPartition,
    pages: Vec<PageAt>,
    /// The places of the first and the last page of the range.
    range: Option<(usize, usize)>,
    meant: u64,
}

/// The state that a replay begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// The offset in the journal from which on pages run.
    pub offset: u64,
    /// Which of the snapshots holds the state before them; none where that is empty.
    pub snapshot: Option<usize>,
}

/// A part of a journal, by the offsets of its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From which on pages run.
    pub from: u64,
    /// The first page of the range: what stands in no log, such as a timer, is meant from there on.
    pub first: u64,
    /// The last page that runs.
    pub last: u64,
}

impl Survey {
    /// Looks through the journal of a shard.
    pub async fn of(topics: &Arc<dyn Topics>, journal: TopicPartition, bounds: &Bounds) -> Result<Self, Coded> {
        let mut pages = Pages::new(Arc::clone(topics), journal.clone(), 0);
        let mut survey = Self { journal, pages: Vec::new(), range: None, meant: 0 };
        while let Some((offset, page)) = pages.next().await? {
            let (place, meant) = (survey.pages.len(), bounds.units(&page));
            if meant > 0 {
                survey.range = Some((survey.range.map_or(place, |(first, _)| first), place));
                survey.meant += meant;
            }
            let (number, is_complete, units) = (page.number, page.is_complete, page.units());
            survey.pages.push(PageAt { offset, number, is_complete, units, at: page.time(0) });
        }
        Ok(survey)
    }

    /// How many units of the range there are, keys and types aside.
    pub const fn meant(&self) -> u64 {
        self.meant
    }

    /// The first page of the range and the last, by their offsets in the journal.
    pub fn range(&self) -> Option<(u64, u64)> {
        self.range.map(|(first, last)| (self.pages[first].offset, self.pages[last].offset))
    }

    /// The times of the first page of the range and of the last.
    pub fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.range.map(|(first, last)| (self.pages[first].at, self.pages[last].at))
    }

    /// The records that the pages of the range name, by their topics: the first of each, and behind the last.
    pub async fn named(&self, topics: &Arc<dyn Topics>) -> Result<BTreeMap<Arc<str>, (u64, u64)>, Coded> {
        let mut named: BTreeMap<Arc<str>, (u64, u64)> = BTreeMap::new();
        let Some((first, last)) = self.range() else { return Ok(named) };
        let mut pages = Pages::new(Arc::clone(topics), self.journal.clone(), first);
        while let Some((_, page)) = pages.next().await?.filter(|(offset, _)| *offset <= last) {
            for step in &page.steps {
                let (place, from, count) = match step {
                    Step::Run(place, first, count, _) => (*place, *first, *count),
                    Step::Unit(Noted { cause: Cause::Record(place, offset), .. }) => (*place, *offset, 1),
                    Step::Unit(_) => continue,
                };
                let known = named.entry(page.topic(place).into()).or_insert((from, from.saturating_add(count)));
                *known = (known.0.min(from), known.1.max(from.saturating_add(count)));
            }
        }
        Ok(named)
    }

    /// What of the journal runs, from this offset on.
    pub fn span(&self, from: u64) -> Option<Span> {
        self.range().map(|(first, last)| Span { from, first, last })
    }

    /// How many units run that begin at this offset of the journal and go on to the end of the range.
    pub fn units(&self, from: u64) -> u64 {
        let Some((_, last)) = self.range else { return 0 };
        self.pages[..=last].iter().filter(|page| page.offset >= from).map(|page| page.units).sum()
    }

    /// The offset at which a page of this number stands, if it is there, since the state was dropped last.
    pub fn offset_of(&self, number: u64) -> Option<u64> {
        let begin = self.pages.iter().rposition(|page| page.number == 1).unwrap_or(0);
        self.pages[begin..].iter().rev().find(|page| page.number == number).map(|page| page.offset)
    }

    /// With which state a replay has to begin so that the range finds the one that it found then. `snapshots` says for each the number of the
    /// last page that it holds, and the offset at which that stands. That there is none is an error (TM-0901).
    pub fn base(&self, snapshots: &[(u64, u64)]) -> Result<Base, Coded> {
        let first = self.range.map_or(0, |(first, _)| first);
        let mut base = Err("there is nothing in it".to_owned());
        let mut last: Option<PageAt> = None;
        for page in self.pages.iter().take(first + 1) {
            let PageAt { offset, number, is_complete, .. } = *page;
            base = match last {
                _ if number == 1 && is_complete => Ok(Base { offset, snapshot: None }),
                _ if number == 1 => Err("it was switched on when there was state already".to_owned()),
                Some(last) if number == last.number + 1 => base,
                Some(last) => Err(format!("its pages {} to {} are missing", last.number + 1, number - 1)),
                None => Err(format!("its oldest page is number {number}")),
            };
            let since = last.map_or(0, |last| last.offset);
            let is_before = |(held, at): &(u64, u64)| held + 1 == number && (since..offset).contains(at);
            if let Some(place) = snapshots.iter().rposition(is_before) {
                base = Ok(Base { offset, snapshot: Some(place) });
            }
            last = Some(*page);
        }
        base.map_err(|why| {
            let message = format!(
                "the state at the beginning of the range cannot be rebuilt from {}: {why}, and no snapshot lies behind that",
                self.journal
            );
            Coded::new(Code::JOURNAL_INCOMPLETE, message)
        })
    }
}
