//! What the runtime keeps of a shard beside its handlers' state: parked records and open letters, and how both are found again.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::code::{Code, Coded};
use crate::guard::{GUARD, Mark};
use crate::id::EventId;
use crate::lane::LaneId;
use crate::letters::{LETTERS, Letters, Open};
use crate::parking::{PARKED, Parked, Parking, Slot, Waits};
use crate::planted::{Bug, is_planted};
use crate::ports::{Committing, Entry, Generation, KeyRange};
use crate::record::Position;
use crate::service::Service;
use crate::state::{ScopeKey, runtime_range};
use crate::worker::Env;

/// Entries that are read at once.
const PAGE: usize = 1_000;

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
}

/// What the runtime keeps of a shard.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) parking: Parking,
    pub(crate) letters: Letters,
}

/// What was found in the state of a shard.
#[derive(Debug, Default)]
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
        }
    }
}

impl Found {
    /// Takes in what was found in state, in any order.
    fn of(service: &Service, entries: Vec<Entry>) -> Result<Self, Coded> {
        let (mut found, mut parked) = (Self::default(), Vec::new());
        for (key, value) in entries {
            let place = ScopeKey::parse(&key).map(|place| (place.name, place.key, place.entry.unwrap_or_default()));
            let bad = |what: &str| {
                let message = format!("{what} of service {} cannot be read", service.name());
                Coded::new(Code::STATE_UNREADABLE, message)
            };
            match place {
                Some((PARKED, ..)) if is_planted(Bug::ParkedForgotten) => {}
                Some((PARKED, lane, number)) => {
                    let number =
                        number.try_into().map(u64::from_be_bytes).map_err(|_| bad("the number of a parked record"))?;
                    let record = Parked::read(&value).map_err(|_| bad("a parked record"))?;
                    found.origins.insert(number, record.position());
                    let slot = Slot { lane: Bytes::copy_from_slice(lane), number, bytes: value.len() };
                    parked.push((slot, lane_of(service, &record)?, record.waits));
                }
                Some((LETTERS, _, id)) => {
                    let id = std::str::from_utf8(id).ok().and_then(EventId::parse);
                    let id = id.ok_or_else(|| bad("the id of an open dead letter"))?;
                    found.books.letters.open(id, Open::read(&value).map_err(|_| bad("an open dead letter"))?);
                }
                Some((GUARD, ..)) => found.mark = Mark::read(&value),
                _ => {}
            }
        }
        parked.sort_unstable_by_key(|(slot, ..)| slot.number);
        for (slot, lane, waits) in parked {
            found.books.parking.add(&lane, slot, &waits);
        }
        Ok(found)
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

/// Reads what is kept of a shard that was loaded.
pub(crate) async fn read(env: &Env, shard: u32, generation: Generation) -> Result<Found, Coded> {
    let (mut range, mut all) = (runtime_range(), Vec::new());
    let mut transaction = match &env.commits {
        Committing::Batch(_) => None,
        Committing::Unit(commits) => Some(commits.begin(shard, generation).await?),
    };
    loop {
        let page = match (&env.commits, &mut transaction) {
            (Committing::Unit(_), Some(transaction)) => transaction.scan(&range, PAGE).await?,
            (Committing::Batch(commits), _) => commits.scan(shard, &range, PAGE)?,
            (Committing::Unit(_), None) => unreachable!("it was opened above"),
        };
        let last = page.last().map(|(key, _)| key.clone());
        let is_last = page.len() < PAGE;
        all.extend(page);
        match last {
            Some(last) if !is_last => range = KeyRange { start: Bound::Excluded(last), ..range },
            _ => break,
        }
    }
    Found::of(&env.service, all)
}
