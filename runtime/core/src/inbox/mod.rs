//! The inbox: which events had their effects already, so that a copy of one at another position has none.
//!
//! An id is known from the moment in which its unit is whole, and lies in state in the commit of the unit's effects: it is there if
//! and only if the effects are. Ids gather in a bucket in memory, and in state as one run for each commit. A bucket that is old or large
//! enough is closed: its ids go into pages by their value, and what stays in memory is a filter over each page. Buckets are dropped
//! when the service has run for the whole retention since they were closed; time in which it does not run does not count.

mod copies;
mod entry;
mod filter;
mod found;
mod leaving;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::time::Timestamp;
use entry::{Applied, Name, Run, halves};
use filter::{Filter, share};
use leaving::Leaving;

pub(crate) use copies::{COPIES, Copies, copies_entry};
pub use copies::{copies, copies_range};
pub(crate) use entry::holds;
pub use entry::{Place, applied, is_known};
pub(crate) use found::Found;

/// A retention is cut into so many buckets: an id is kept for one part of it longer at the most.
const BUCKETS: u64 = 12;
/// Time between two looks at the clock counts up to this: one that is set forward must not make ids old.
const LONGEST_STEP: Duration = Duration::from_mins(1);
/// Ids in one page.
const PAGE_IDS: usize = 1_024;
/// Ids in one run of a commit, at the most: some 300 KiB.
const PART_IDS: usize = 16_384;
/// Pages that are written at once.
const PAGES: usize = 32;
/// What an id in memory takes, the table's empty places included.
const ID_BYTES: usize = 64;
/// Ids in memory may take one part in so many of the bound; filters may take the rest.
const IDS_SHARE: usize = 4;

/// What is known of an id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Its event had no effects yet.
    New,
    /// It had.
    Applied,
    /// One of these entries of the inbox's state holds it, or it had none.
    Perhaps(Vec<Bytes>),
}

/// Something that has to be written or removed in state, as a unit of its own.
#[derive(Debug)]
pub(crate) struct Chore {
    pub(crate) entries: Vec<(Bytes, Option<Bytes>)>,
    pub(crate) done: Done,
}

/// What a chore leads to, once it is done.
#[derive(Debug, Clone)]
pub(crate) struct Done(Leads);

#[derive(Debug, Clone)]
enum Leads {
    /// The next pages of the oldest bucket in memory are written; these are their filters.
    Written(Vec<Filter>),
    /// So many entries of what goes are gone.
    Removed(usize),
}

#[derive(Debug, Clone, Copy)]
struct Known {
    offset: u64,
    at: i64,
    topic: u32,
}

/// Ids in memory.
#[derive(Debug, Default)]
struct Bucket {
    /// For how long the service had run when it was begun. It is the bucket's name too.
    begun: u64,
    /// The same of its end, once it is being closed.
    until: Option<u64>,
    ids: HashMap<u128, Known, foldhash::fast::RandomState>,
    /// How many runs of it are in state.
    parts: u64,
    /// The filters of its pages that are written.
    filters: Vec<Filter>,
}

impl Bucket {
    fn pages(&self) -> usize {
        self.ids.len().div_ceil(PAGE_IDS).max(1)
    }
}

/// A bucket whose ids are in pages.
#[derive(Debug)]
struct Closed {
    name: u64,
    until: u64,
    filters: Vec<Filter>,
    /// Bytes that the filters take.
    bytes: usize,
}

impl Closed {
    fn new(name: u64, until: u64, filters: Vec<Filter>) -> Self {
        let bytes = filters.iter().map(Filter::bytes).sum();
        Self { name, until, filters, bytes }
    }
}

/// What of a shard's events had their effects.
#[derive(Debug)]
pub(crate) struct Inbox {
    retention: u64,
    /// Bytes that it may take in memory.
    bound: usize,
    /// Whether units commit by themselves, each with its own id.
    by_unit: bool,
    /// For how long the service has run, in milliseconds, and when that was looked at.
    running: u64,
    looked: Option<Timestamp>,
    /// The name of the newest bucket that there was.
    last: Option<u64>,
    /// The topics that were met.
    topics: Vec<String>,
    /// Newest last; those before it are being closed, the first of them at this moment.
    buckets: VecDeque<Bucket>,
    /// Newest last.
    closed: VecDeque<Closed>,
    /// What no commit was made of yet.
    fresh: Vec<Applied>,
    leaving: VecDeque<Leaving>,
    /// Whether a chore is under way.
    is_busy: bool,
    /// Whether ids were dropped for want of room since this was asked last.
    forgot: bool,
}

impl Inbox {
    pub(crate) fn new(retention: Duration, bound: usize, by_unit: bool) -> Self {
        Self {
            retention: u64::try_from(retention.as_millis()).unwrap_or(u64::MAX),
            bound,
            by_unit,
            running: 0,
            looked: None,
            last: None,
            topics: Vec::new(),
            buckets: VecDeque::new(),
            closed: VecDeque::new(),
            fresh: Vec::new(),
            leaving: VecDeque::new(),
            is_busy: false,
            forgot: false,
        }
    }

    /// Bytes that it may take in memory from now on.
    pub(crate) fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// What is known of an id.
    pub(crate) fn look(&self, id: u128) -> Look {
        if self.buckets.iter().any(|bucket| bucket.ids.contains_key(&id)) {
            return Look::Applied;
        }
        let pages: Vec<Bytes> = self.closed.iter().filter_map(|closed| closed.page(id)).collect();
        if pages.is_empty() { Look::New } else { Look::Perhaps(pages) }
    }

    /// An event had its effects. Tells whether it was the first of this id; the effects of another must not be kept.
    pub(crate) fn apply(&mut self, id: u128, topic: &str, offset: u64, at: Timestamp) -> bool {
        if self.buckets.iter().any(|bucket| bucket.ids.contains_key(&id)) {
            return false;
        }
        let topic = place_of(&mut self.topics, topic);
        let at = at.as_millis();
        let known = Known { offset, at, topic: u32::try_from(topic).expect("few topics") };
        self.newest().ids.insert(id, known);
        if !self.by_unit {
            self.fresh.push(Applied { id, topic, offset, at });
        }
        true
    }

    /// The bucket that ids go into.
    fn newest(&mut self) -> &mut Bucket {
        if self.buckets.back().is_none_or(|bucket| bucket.until.is_some()) {
            let begun = self.last.map_or(self.running, |last| self.running.max(last + 1));
            self.last = Some(begun);
            self.buckets.push_back(Bucket { begun, ..Bucket::default() });
        }
        self.buckets.back_mut().expect("it was put there")
    }

    /// What the commit that is made now adds to state.
    pub(crate) fn freeze(&mut self) -> Vec<(Bytes, Bytes)> {
        if self.fresh.is_empty() {
            return Vec::new();
        }
        let (running, topics, fresh) = (self.running, self.topics.clone(), std::mem::take(&mut self.fresh));
        let bucket = self.newest();
        let part = |applied: &[Applied]| {
            let name = Name::Part { bucket: bucket.begun, number: bucket.parts };
            bucket.parts += 1;
            let run = Run { running, pages: 0, topics: topics.clone(), applied: applied.to_vec() };
            (name.suffix(), run.to_bytes())
        };
        let parts = fresh.chunks(PART_IDS).map(part).collect();
        self.close();
        parts
    }

    /// What a unit that commits by itself adds to state.
    pub(crate) fn single(&self, id: u128, topic: &str, offset: u64, at: Timestamp) -> (Bytes, Bytes) {
        let applied = vec![Applied { id, topic: 0, offset, at: at.as_millis() }];
        let run = Run { running: self.running, topics: vec![topic.to_owned()], applied, pages: 0 };
        (Name::Single(id).suffix(), run.to_bytes())
    }

    /// Begins to close the newest bucket, where that is old or large enough.
    fn close(&mut self) {
        let span = (self.retention / BUCKETS).max(1);
        let most = self.bound / IDS_SHARE / ID_BYTES;
        let running = self.running;
        if let Some(bucket) = self.buckets.back_mut()
            && bucket.until.is_none()
            && !bucket.ids.is_empty()
            && (running >= bucket.begun.saturating_add(span) || bucket.ids.len() >= most.max(PAGE_IDS))
        {
            bucket.until = Some(running);
        }
    }

    /// Takes the time.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        let step = self.looked.map_or(Duration::ZERO, |looked| now.since(looked).min(LONGEST_STEP));
        self.running += u64::try_from(step.as_millis()).expect("it is bounded");
        self.looked = Some(now);
    }

    /// The next thing to be written or removed in state. Another is given out when this one is done.
    pub(crate) fn chore(&mut self) -> Option<Chore> {
        if self.is_busy {
            return None;
        }
        if self.fresh.is_empty() {
            self.close();
        }
        self.expire();
        let chore = self.pages().or_else(|| self.removals())?;
        self.is_busy = true;
        Some(chore)
    }

    /// The next pages of the bucket that is being closed.
    fn pages(&self) -> Option<Chore> {
        let bucket = self.buckets.front()?;
        let until = bucket.until?;
        let (first, pages) = (bucket.filters.len(), bucket.pages());
        let mut runs = vec![Vec::new(); PAGES.min(pages - first)];
        for (id, known) in &bucket.ids {
            let page = share(halves(*id).0, pages);
            if let Some(run) = page.checked_sub(first).and_then(|place| runs.get_mut(place)) {
                run.push(Applied { id: *id, topic: known.topic as usize, offset: known.offset, at: known.at });
            }
        }
        let filters = runs.iter().map(|run| Filter::of(run.iter().map(|applied| applied.id))).collect();
        let entry = |(place, mut applied): (usize, Vec<Applied>)| {
            applied.sort_unstable_by_key(|applied| applied.id);
            let name = Name::Page { bucket: bucket.begun, number: (first + place) as u64 };
            let run = Run { running: until, topics: self.topics.clone(), applied, pages };
            (name.suffix(), Some(run.to_bytes()))
        };
        let entries = runs.into_iter().enumerate().map(entry).collect();
        Some(Chore { entries, done: Done(Leads::Written(filters)) })
    }

    fn removals(&self) -> Option<Chore> {
        let names = self.leaving.front()?.names();
        let count = names.len();
        let entries = names.into_iter().map(|name| (name.suffix(), None)).collect();
        Some(Chore { entries, done: Done(Leads::Removed(count)) })
    }

    /// Drops buckets that are old enough, and those for which there is no room.
    fn expire(&mut self) {
        let most = self.bound - self.bound / IDS_SHARE;
        let mut bytes: usize = self.closed.iter().map(|closed| closed.bytes).sum();
        while let Some(closed) = self.closed.front() {
            let is_old = closed.until.saturating_add(self.retention) <= self.running;
            if !is_old && bytes <= most {
                break;
            }
            self.forgot |= !is_old;
            bytes -= closed.bytes;
            self.leaving.push_back(Leaving::Pages(closed.name, 0..closed.filters.len() as u64));
            self.closed.pop_front();
        }
    }

    /// Whether ids were dropped before their time since this was asked last.
    pub(crate) fn takes_forgot(&mut self) -> bool {
        std::mem::take(&mut self.forgot)
    }

    /// A chore is done.
    pub(crate) fn did(&mut self, done: Done) {
        self.is_busy = false;
        match done.0 {
            Leads::Removed(count) => {
                if self.leaving.front_mut().is_none_or(|leaving| leaving.shorten(count)) {
                    self.leaving.pop_front();
                }
            }
            Leads::Written(filters) => self.wrote(filters),
        }
    }

    fn wrote(&mut self, filters: Vec<Filter>) {
        let Some(bucket) = self.buckets.front_mut() else { return };
        bucket.filters.extend(filters);
        if bucket.filters.len() < bucket.pages() {
            return;
        }
        let bucket = self.buckets.pop_front().expect("it was there");
        let until = bucket.until.unwrap_or(self.running);
        if self.by_unit {
            self.leaving.push_back(Leaving::Singles(bucket.ids.into_keys().collect()));
        } else {
            self.leaving.push_back(Leaving::Parts(bucket.begun, 0..bucket.parts));
        }
        self.closed.push_back(Closed::new(bucket.begun, until, bucket.filters));
    }
}

impl Closed {
    /// The page that an id is in, if it is in any.
    fn page(&self, id: u128) -> Option<Bytes> {
        let number = share(halves(id).0, self.filters.len());
        let may_hold = self.filters[number].may_hold(id);
        may_hold.then(|| Name::Page { bucket: self.name, number: number as u64 }.suffix())
    }
}

/// The place of a topic among those that were met, which it joins.
fn place_of(topics: &mut Vec<String>, topic: &str) -> usize {
    topics.iter().position(|known| known == topic).unwrap_or_else(|| {
        topics.push(topic.to_owned());
        topics.len() - 1
    })
}
