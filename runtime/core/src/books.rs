//! What the runtime keeps of a shard beside its handlers' state: parked records, open letters, what the inbox knows, the next timers, and how
//! all of it is found again.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::code::{Code, Coded};
use crate::guard::{GUARD, Mark};
use crate::handover::{HANDOVER, Handover};
use crate::id::EventId;
use crate::inbox::{self, COPIES, Copies, Done, Inbox};
use crate::journal::{self, JOURNAL, Journal, NOTES};
use crate::lane::LaneId;
use crate::letters::{LETTERS, Letters, Open};
use crate::parking::{PARKED, Parked, Parking, Slot, Waits};
use crate::planted::{Bug, is_planted};
use crate::ports::{Committing, Entry, Generation, KeyRange, UnitTransaction};
use crate::record::Position;
use crate::saga::stored::{SHAPES, Shapes, look_through};
use crate::service::Service;
use crate::state::{ScopeKey, handlers_range, runtime_range};
use crate::timers::{self, Page, Timer, Timers, When};
use crate::worker::Env;

/// Entries that are read at once; those of the inbox are some ten kilobytes each.
const PAGE: usize = 256;

/// What a unit changes in the books, once it is whole.
#[derive(Debug, Clone)]
pub(crate) enum Entered {
    /// A record was parked, behind all others of its lane.
    Parked { lane: LaneId, slot: Slot, waits: Waits },
    /// The first record of a lane was written again.
    Head { lane: LaneId, bytes: usize, waits: Waits },
    /// A parked record is there no more.
    Gone { lane: LaneId, number: u64 },
    /// A letter is open, or has another round.
    Opened { id: EventId, open: Open },
    /// A letter is open no more.
    Closed { id: EventId },
    /// Something of the inbox was written or removed.
    Kept(Done),
    /// A copy had no effects; so many there are of this handler with it.
    Copied { handler: Arc<str>, count: u64 },
    /// A timer was scheduled, and fires in this lane.
    Scheduled { when: When, lane: LaneId },
    /// A timer was cancelled.
    Cancelled { when: When },
    /// A timer that was due is done.
    Fired,
    /// The next timers were read.
    Timers(Page),
}

/// What the runtime keeps of a shard.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) parking: Parking,
    pub(crate) letters: Letters,
    pub(crate) inbox: Inbox,
    pub(crate) copies: Copies,
    pub(crate) timers: Timers,
    pub(crate) journal: Journal,
    /// What the shard only catches up with, where it does.
    pub(crate) handover: Option<Handover>,
    /// What goes into the next mark: which sagas' instances were looked through.
    pub(crate) shapes: Shapes,
}

/// What was found in the state of a shard.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) books: Books,
    /// What the life before left.
    pub(crate) mark: Option<Mark>,
    /// Where each parked record came from, by its number.
    pub(crate) origins: BTreeMap<u64, Position>,
}

impl Books {
    pub(crate) fn enter(&mut self, entered: Entered) {
        match entered {
            Entered::Parked { lane, slot, waits } => self.parking.add(&lane, slot, &waits),
            Entered::Head { lane, bytes, waits } => {
                self.parking.resize(&lane, bytes);
                self.parking.set_head(&lane, &waits);
            }
            Entered::Gone { lane, number } => self.parking.remove(&lane, number),
            Entered::Opened { id, open } => self.letters.open(id, open),
            Entered::Closed { id } => self.letters.close(id),
            Entered::Kept(done) => self.inbox.did(done),
            Entered::Copied { handler, count } => self.copies.set(handler, count),
            Entered::Scheduled { when, lane } => self.timers.add(when, lane),
            Entered::Cancelled { when } => self.timers.remove(when),
            Entered::Fired => self.timers.done(),
            Entered::Timers(page) => self.timers.turn_to(page),
        }
    }
}

/// What is read of a shard's books, one entry after the other, in any order.
#[derive(Default)]
struct Reading {
    letters: Letters,
    inbox: inbox::Found,
    copies: Copies,
    mark: Option<Mark>,
    origins: BTreeMap<u64, Position>,
    shapes: BTreeMap<Bytes, Bytes>,
    journal: journal::Found,
    handover: Option<Handover>,
    parked: Vec<(Slot, LaneId, Waits)>,
    /// Whether anything was found that units left.
    is_used: bool,
}

impl Reading {
    fn take(&mut self, service: &Service, (key, value): &Entry) -> Result<(), Coded> {
        let Some(place) = ScopeKey::parse(key) else { return Ok(()) };
        let bad = |what: &str| {
            let message = format!("{what} of service {} cannot be read", service.name());
            Coded::new(Code::STATE_UNREADABLE, message)
        };
        let (map, entry) = (place.name, place.entry.unwrap_or_default());
        self.is_used |= !matches!(map, GUARD | SHAPES | HANDOVER);
        match map {
            PARKED if is_planted(Bug::ParkedForgotten) => {}
            PARKED => {
                let number =
                    entry.try_into().map(u64::from_be_bytes).map_err(|_| bad("the number of a parked record"))?;
                let record = Parked::read(value).map_err(|_| bad("a parked record"))?;
                self.origins.insert(number, record.position());
                let slot = Slot { lane: Bytes::copy_from_slice(place.key), number, bytes: value.len() };
                self.parked.push((slot, lane_of(service, &record)?, record.waits));
            }
            LETTERS => {
                let id = std::str::from_utf8(entry).ok().and_then(EventId::parse);
                let id = id.ok_or_else(|| bad("the id of an open dead letter"))?;
                self.letters.open(id, Open::read(value).map_err(|_| bad("an open dead letter"))?);
            }
            GUARD => self.mark = Mark::read(value),
            SHAPES => drop(self.shapes.insert(Bytes::copy_from_slice(entry), value.clone())),
            JOURNAL | NOTES => self.journal.take(map, entry, value).ok_or_else(|| bad("the journal"))?,
            HANDOVER => {
                self.handover = Some(Handover::read(value).ok_or_else(|| bad("what is caught up with"))?);
            }
            COPIES if is_planted(Bug::CopiesForgotten) => {}
            COPIES => self.copies.take(entry, value).ok_or_else(|| bad("the number of copies"))?,
            _ if is_planted(Bug::InboxLost) => {}
            _ => self.inbox.take(map, entry, value).ok_or_else(|| bad("the inbox"))?,
        }
        Ok(())
    }

    fn into_found(
        self,
        inbox: Inbox,
        timers: Timers,
        shapes: Shapes,
        journals: impl FnOnce(journal::Found) -> Journal,
    ) -> Found {
        let Self { letters, inbox: known, copies, mark, origins, mut parked, journal, handover, .. } = self;
        let mut parking = Parking::default();
        parked.sort_unstable_by_key(|(slot, ..)| slot.number);
        for (slot, lane, waits) in parked {
            parking.add(&lane, slot, &waits);
        }
        let (inbox, journal) = (known.into_inbox(inbox), journals(journal));
        let books = Books { parking, letters, inbox, copies, timers, journal, handover, shapes };
        Found { books, mark, origins }
    }
}

/// The lane of a parked record.
fn lane_of(service: &Service, parked: &Parked) -> Result<LaneId, Coded> {
    let handler = service.place_of(&parked.handler).ok_or_else(|| {
        let (position, handler) = (parked.position(), &parked.handler);
        let message = format!(
            "{position} is parked for handler {handler}, which service {} has no more; keep it until its records are done",
            service.name()
        );
        Coded::new(Code::HANDLER_GONE, message)
    })?;
    Ok(service.lane(handler, &parked.record(), &parked.position()))
}

/// A page of timers, as they lie in state.
pub(crate) fn timers_of(service: &Service, entries: &[Entry]) -> Result<Page, Coded> {
    let mut timers = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let unreadable = || Coded::new(Code::STATE_UNREADABLE, format!("a timer of {} cannot be read", service.name()));
        let when = timers::when(key).ok_or_else(unreadable)?;
        let Timer { handler, key, name, .. } = Timer::read(value).map_err(|_| unreadable())?;
        let place = service.place_of(&handler).ok_or_else(|| {
            let message = format!(
                "timer {name} is due at {} for handler {handler}, which service {} has no more; keep it until its timers have fired",
                when.due,
                service.name()
            );
            Coded::new(Code::HANDLER_GONE, message)
        })?;
        timers.push((when, service.lane_of(place, key.into())));
    }
    Ok(Page { timers, is_last: entries.len() < service.limits.timers })
}

/// The first entries of a range of a shard's committed state; where units commit by themselves, as their transaction sees them.
pub(crate) async fn scan(
    env: &Env,
    shard: u32,
    transaction: Option<&mut Box<dyn UnitTransaction>>,
    range: &KeyRange,
    limit: usize,
) -> Result<Vec<Entry>, Coded> {
    match (&env.commits, transaction) {
        (_, Some(transaction)) => transaction.scan(range, limit).await,
        (Committing::Batch(commits), None) => commits.scan(shard, range, limit),
        (Committing::Unit(_), None) => unreachable!("units that commit have a transaction"),
    }
}

/// Hands over every entry of a range of a shard's state, in order, as [`scan`] reads them.
pub(crate) async fn each(
    env: &Env,
    shard: u32,
    mut transaction: Option<&mut Box<dyn UnitTransaction>>,
    mut range: KeyRange,
    mut take: impl FnMut(&Entry) -> Result<(), Coded>,
) -> Result<(), Coded> {
    loop {
        let page = scan(env, shard, transaction.as_deref_mut(), &range, PAGE).await?;
        page.iter().try_for_each(&mut take)?;
        match page.last() {
            Some((last, _)) if page.len() == PAGE => range.start = Bound::Excluded(last.clone()),
            _ => return Ok(()),
        }
    }
}

/// Reads what is kept of a shard that was loaded.
pub(crate) async fn read(env: &Env, shard: u32, generation: Generation) -> Result<Found, Coded> {
    let mut reading = Reading::default();
    let mut transaction = match &env.commits {
        Committing::Batch(_) => None,
        Committing::Unit(commits) => Some(commits.begin(shard, generation).await?),
    };
    each(env, shard, transaction.as_mut(), runtime_range(), |entry| reading.take(&env.service, entry)).await?;
    let timers = if is_planted(Bug::TimersForgotten) {
        Timers::found(env.service.limits.timers, Page { timers: Vec::new(), is_last: true })
    } else {
        let (range, page) = (timers::range_behind(None), env.service.limits.timers);
        let entries = scan(env, shard, transaction.as_mut(), &range, page).await?;
        Timers::found(page, timers_of(&env.service, &entries)?)
    };
    let shapes = look_through(env, shard, transaction.as_mut(), &reading.shapes).await?;
    let is_fresh = !reading.is_used && scan(env, shard, transaction.as_mut(), &handlers_range(), 1).await?.is_empty();
    let limits = &env.service.limits;
    let by_unit = matches!(env.commits, Committing::Unit(_));
    let journal = |found| Journal::of(found, env.service.journal.is_some(), is_fresh);
    Ok(reading.into_found(Inbox::new(limits.inbox_retention, limits.inbox_memory, by_unit), timers, shapes, journal))
}
