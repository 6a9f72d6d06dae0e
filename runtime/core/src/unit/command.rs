//! What operators want of a shard's parked records and dead letters, and the runtime's own state as it is at this moment.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::books::{scan, timers_of};
use crate::code::{Code, Coded};
use crate::id::EventId;
use crate::inbox;
use crate::internal::{Became, Command, Operation, Wish};
use crate::parking::{Parked, Redriven, Slot, Waits};
use crate::ports::{Committing, UnitTransaction};
use crate::record::Position;
use crate::state::{StateId, own_key, runtime_id};
use crate::timers::{self, Page, Timer, When};
use crate::unit::{Home, Unit};

/// An entry of the runtime's own state, as it is at this moment. Where units commit by themselves, their transaction reads it.
pub(crate) async fn kept(
    home: &Home,
    transaction: Option<&mut Box<dyn UnitTransaction>>,
    id: &StateId,
    suffix: Bytes,
) -> Result<Option<Bytes>, Coded> {
    let key = own_key(id, &suffix);
    if let Some(transaction) = transaction {
        return transaction.get(&key).await;
    }
    if let Some(found) = home.memory.borrow_mut().get(id, &suffix) {
        return Ok(found.cloned());
    }
    match &home.env.commits {
        Committing::Batch(commits) => commits.get(home.shard, &key),
        Committing::Unit(_) => unreachable!("units that commit have a transaction"),
    }
}

/// Whether an event is among those of any of these entries of the inbox.
pub(super) async fn any_holds(home: &Home, pages: &[Bytes], event: u128) -> Result<bool, Coded> {
    let mut transaction = begin(home).await?;
    for page in pages {
        let found = kept(home, transaction.as_mut(), &runtime_id(Bytes::new()), page.clone()).await?;
        if found.is_some_and(|page| inbox::holds(&page, event)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A transaction to read in, where units have their own.
async fn begin(home: &Home) -> Result<Option<Box<dyn UnitTransaction>>, Coded> {
    match &home.env.commits {
        Committing::Batch(_) => Ok(None),
        Committing::Unit(commits) => Ok(Some(commits.begin(home.shard, home.generation).await?)),
    }
}

/// A parked record that is to be handled.
pub(crate) async fn fetch(home: &Home, slot: &Slot) -> Result<Parked, Coded> {
    let mut transaction = begin(home).await?;
    read(home, transaction.as_mut(), slot).await
}

/// A timer that is due, if it was not cancelled meanwhile.
pub(crate) async fn fetch_timer(home: &Home, when: When) -> Result<Option<Timer>, Coded> {
    let mut transaction = begin(home).await?;
    let found = kept(home, transaction.as_mut(), &timers::all(), when.suffix()).await?;
    let read = |found: Bytes| {
        Timer::read(&found).map_err(|_| {
            let message = format!("the timer that is due at {} in shard {} cannot be read", when.due, home.shard);
            Coded::new(Code::STATE_UNREADABLE, message)
        })
    };
    found.map(read).transpose()
}

/// The next timers behind one, as they are at this moment.
pub(crate) async fn next_timers(home: &Home, behind: When) -> Result<Page, Coded> {
    let (range, page) = (timers::range_behind(Some(behind)), home.env.service.limits.timers);
    let mut transaction = begin(home).await?;
    // Where units commit by themselves, memory holds nothing.
    let newer = home.memory.borrow().range(&timers::all(), &timers::suffixes_behind(behind));
    // Each newer one can hide at most one that is committed.
    let committed = scan(&home.env, home.shard, transaction.as_mut(), &range, page + newer.len()).await?;
    let mut entries: BTreeMap<_, _> = committed.into_iter().map(|(key, value)| (key, Some(value))).collect();
    entries.extend(newer.into_iter().map(|(suffix, value)| (own_key(&timers::all(), &suffix), value)));
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key, value?)));
    timers_of(&home.env.service, &entries.take(page).collect::<Vec<_>>())
}

async fn read(home: &Home, transaction: Option<&mut Box<dyn UnitTransaction>>, slot: &Slot) -> Result<Parked, Coded> {
    let found = kept(home, transaction, &runtime_id(slot.lane.clone()), slot.suffix()).await?.ok_or_else(|| {
        // Only an owner removes it, and this one did not: there is another, and the log will say so.
        let message = format!("parked record {} of shard {} is not there any more", slot.number, home.shard);
        Coded::new(Code::FENCED, message)
    })?;
    Parked::read(&found).map_err(|_| {
        let message = format!("parked record {} of shard {} cannot be read", slot.number, home.shard);
        Coded::new(Code::STATE_UNREADABLE, message)
    })
}

/// Does what an operator wants, as far as it can be done, and records what became of it.
pub(super) async fn obey(unit: &mut Unit, command: &Command) -> Result<(), Coded> {
    let Command { order, wish, target } = command;
    let (lane, position) = (unit.lane(), target.position());
    let first = unit.home.books.borrow().parking.first(&lane).cloned();
    let (mut became, mut detail, mut letter_id) = (Became::Refused, String::new(), None);
    match wish {
        Wish::Redrive { letter, round } | Wish::Discard { letter, round } => {
            letter_id = Some(letter.clone());
            let id = EventId::parse(letter);
            let open = id.and_then(|id| unit.home.books.borrow().letters.get(id).map(|open| open.round));
            let held = held_by(unit, first.as_ref(), letter, &position).await?;
            match (wish, open, id) {
                (_, Some(open), _) if open != *round => detail = format!("it failed again since: round {open}"),
                (_, None, _) | (_, _, None) => "the letter is not open".clone_into(&mut detail),
                (Wish::Redrive { .. }, Some(_), Some(_)) => {
                    let redriven = Redriven { order: order.clone(), letter: letter.clone(), round: *round };
                    let parked = Parked { since: unit.now.as_millis(), redriven: Some(redriven), ..target.clone() };
                    match held {
                        Some(slot) => unit.put_head(&slot, &Parked { waits: Waits::Behind, ..parked }),
                        None => unit.put_last(&Parked { waits: Waits::Behind, ..parked }),
                    }
                    // It is told when its record has had its effects, or failed again.
                    return Ok(());
                }
                (_, Some(_), Some(id)) => {
                    unit.close(id);
                    if let Some(slot) = held {
                        unit.remove(&slot);
                    }
                    became = Became::Done;
                }
            }
        }
        Wish::Release => match first {
            Some(slot) => {
                let parked = read_here(unit, &slot).await?;
                unit.put_head(&slot, &Parked { waits: Waits::Behind, ..parked });
                became = Became::Done;
            }
            None => "nothing is parked for this key".clone_into(&mut detail),
        },
        Wish::Saga(_) => format!("{} is no saga of this service", target.handler).clone_into(&mut detail),
        Wish::DiscardParked => {
            let slots: Vec<Slot> = unit.home.books.borrow().parking.slots(&lane).cloned().collect();
            "it is not parked".clone_into(&mut detail);
            for slot in slots {
                let parked = read_here(unit, &slot).await?;
                if parked.position() == position {
                    if let Waits::Held { letter } = &parked.waits
                        && let Some(id) = EventId::parse(letter)
                    {
                        unit.close(id);
                        letter_id = Some(letter.clone());
                    }
                    unit.remove(&slot);
                    (became, detail) = (Became::Done, String::new());
                    break;
                }
            }
        }
    }
    unit.report(Operation { detail, letter: letter_id, ..Operation::of(order, wish.name(), became, unit.now) });
    Ok(())
}

async fn read_here(unit: &mut Unit, slot: &Slot) -> Result<Parked, Coded> {
    read(&unit.home, unit.transaction.as_mut(), slot).await
}

/// The first parked record of the lane, if it is this letter's own: the letter holds it, or it was released and is tried again.
async fn held_by(
    unit: &mut Unit,
    first: Option<&Slot>,
    letter: &str,
    position: &Position,
) -> Result<Option<Slot>, Coded> {
    let Some(slot) = first else { return Ok(None) };
    let parked = read_here(unit, slot).await?;
    let is_its = match &parked.waits {
        Waits::Held { letter: holds } => holds == letter,
        // What is redriven asks for its letter by itself.
        Waits::Until(_) | Waits::Behind => parked.redriven.is_none() && parked.position() == *position,
    };
    Ok(is_its.then(|| slot.clone()))
}
