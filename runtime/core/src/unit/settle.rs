//! What becomes of a record that its handler does not take, or not now: it is parked, becomes a dead letter, or is dealt with as an
//! operator says. Each of these is a unit like any other: one act with its progress.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::books::Entered;
use crate::code::{Code, Coded};
use crate::failure::Then;
use crate::guard::guard_suffix;
use crate::id::EventId;
use crate::inbox::{Chore, Look, copies_entry};
use crate::internal::{Became, Operation, Order};
use crate::journal::Ending;
use crate::letters::{self, MOST_ROUNDS, Open, Round, letter_suffix};
use crate::outputs::Address;
use crate::parking::{Parked, Past, Redriven, Slot, Waits, lane_key};
use crate::planted::{Bug, is_planted};
use crate::ports::Answer;
use crate::retry::COMMIT_RETRY;
use crate::service::source;
use crate::state::runtime_id;
use crate::time::Timestamp;
use crate::unit::act::Act;
use crate::unit::command::{any_holds, obey};
use crate::unit::judge::Failed;
use crate::unit::run::{commit, open, refused};
use crate::unit::{Kept, Outcome, Settles, Unit};

/// A copy has no effects, and is counted: one of the shard at a time.
pub(super) async fn suppress(unit: &mut Unit) -> Outcome {
    let turn = unit.home.books.borrow().copies.turn();
    let _turn = turn.lock().await;
    // The shard enters in its books what an ended unit did before it polls another, so who comes next sees this one counted.
    settle(unit, &Act::Copy).await
}

/// Does it, and commits it where units commit by themselves.
pub(super) async fn settle(unit: &mut Unit, act: &Act) -> Outcome {
    let mut refusals = 0;
    loop {
        unit.now = unit.home.env.time();
        unit.forget();
        let answer = match open(unit).await {
            Err(cause) => refused(cause),
            Ok(()) => match enact(unit, act).await {
                Ok(()) => {
                    unit.ended = act.ended();
                    commit(unit).await
                }
                Err(Trouble::Ground(cause)) => refused(cause),
                Err(Trouble::NotTaken(cause)) => Answer::Refused(cause),
            },
        };
        unit.transaction = None;
        let cause = match answer {
            Answer::Committed => {
                let (failure, disposition) = act.told();
                return Outcome::Whole(failure, disposition);
            }
            Answer::Refused(cause) => return not_taken(unit, act, cause).await,
            answer @ (Answer::Fenced(_) | Answer::Unknown(_)) => return Outcome::Restart(answer),
            Answer::NotCommitted(cause) => cause,
        };
        refusals += 1;
        if refusals >= COMMIT_RETRY.attempts {
            return Outcome::Stop(cause);
        }
        let env = &unit.home.env;
        env.observer.commit_failed(&cause, "it is tried again");
        env.clock.sleep(COMMIT_RETRY.delay(refusals, &*env.random)).await;
    }
}

/// A dead letter that cannot be written stops its lane; what else cannot be written stops the service.
async fn not_taken(unit: &mut Unit, act: &Act, cause: Coded) -> Outcome {
    match act {
        Act::Letter { failed, .. } => {
            unit.home.env.observer.commit_failed(&cause, "the dead letter is not taken, so the key is held");
            Box::pin(settle(unit, &Act::Hold { failed: failed.clone() })).await
        }
        _ => Outcome::Stop(cause),
    }
}

/// Why something could not be done.
enum Trouble {
    /// The ground under the runtime failed.
    Ground(Coded),
    /// It is too large.
    NotTaken(Coded),
}

async fn enact(unit: &mut Unit, act: &Act) -> Result<(), Trouble> {
    match act {
        Act::Queue => {
            let parked = unit.parked();
            unit.put_last(&parked);
            Ok(())
        }
        Act::Park { until, failed } => {
            unit.put(Waits::Until(until.as_millis()), failed.past.clone());
            Ok(())
        }
        Act::Hold { failed } => {
            unit.put(Waits::Held { letter: String::new() }, failed.past.clone());
            Ok(())
        }
        Act::Letter { then, failed } => unit.write_letter(*then, failed).map_err(Trouble::NotTaken),
        Act::Refuse => {
            unit.leave();
            let detail = "the letter is not open any more, or failed again since".to_owned();
            if let Some(Redriven { order, letter, .. }) = unit.redriven.clone() {
                let operation = Operation::of(&order, "redrive", Became::Refused, unit.now);
                unit.report(Operation { detail, letter: Some(letter), ..operation });
            }
            Ok(())
        }
        Act::Mark(mark) => {
            unit.keep_own(guard_suffix(), mark.clone());
            let shapes = unit.home.books.borrow().shapes.clone();
            for (suffix, shape) in shapes {
                unit.keep_own(suffix, Some(shape));
            }
            Ok(())
        }
        Act::Pass => Ok(()),
        Act::Copy => {
            unit.leave();
            unit.count_copy();
            Ok(())
        }
        Act::Chore(Chore { entries, done }) => {
            let own = |(suffix, value): &(Bytes, Option<Bytes>)| Kept {
                id: runtime_id(Bytes::new()),
                suffix: suffix.clone(),
                value: value.clone(),
            };
            unit.kept.extend(entries.iter().map(own));
            unit.entered.push(Entered::Kept(done.clone()));
            Ok(())
        }
        Act::Command(command) => obey(unit, command).await.map_err(Trouble::Ground),
    }
}

/// Whether the unit is a redrive of a letter that is not open any more.
pub(super) fn is_refused(unit: &Unit) -> bool {
    let Some(redriven) = &unit.redriven else { return false };
    let books = unit.home.books.borrow();
    let open = EventId::parse(&redriven.letter).and_then(|id| books.letters.get(id).map(|open| open.round));
    open != Some(redriven.round) && !is_planted(Bug::RedriveUnchecked)
}

/// Whether the unit's event had its effects already. What is redriven has a letter that is open, and so it had none.
pub(super) async fn is_copy(unit: &mut Unit) -> Result<bool, Coded> {
    let is_timer = matches!(unit.settles, Settles::Timer { .. });
    if is_timer || !unit.registered().inbox || is_planted(Bug::InboxForgotten) {
        return Ok(false);
    }
    unit.event = unit.event();
    let Some(event) = unit.event.filter(|_| unit.redriven.is_none()) else { return Ok(false) };
    let look = unit.home.books.borrow().inbox.look(event);
    match look {
        Look::New => {
            if is_planted(Bug::KnownBeforeDone) {
                let (topic, offset) = (unit.origin.topic.clone(), unit.record.offset);
                unit.home.books.borrow_mut().inbox.apply(event, &topic, offset, unit.now);
            }
            Ok(false)
        }
        Look::Applied => Ok(true),
        Look::Perhaps(pages) => any_holds(&unit.home, &pages, event).await,
    }
}

/// Adds to an attempt that succeeded what follows from it: its event is known, it is parked no more, and its letter is closed.
pub(super) fn conclude(unit: &mut Unit) {
    if unit.muted.is_some() {
        unit.outputs.clear();
    }
    unit.leave();
    if let Some(event) = unit.event
        && unit.transaction.is_some()
    {
        let (topic, offset) = (&unit.origin.topic, unit.record.offset);
        let (suffix, value) = unit.home.books.borrow().inbox.single(event, topic, offset, unit.now);
        unit.once = Some(suffix.clone());
        unit.keep_own(suffix, Some(value));
    }
    if unit.home.books.borrow().letters.is_empty() {
        return;
    }
    let id = unit.letter();
    if unit.home.books.borrow().letters.get(id).is_none() {
        return;
    }
    if !is_planted(Bug::LetterLeftOpen) {
        unit.close(id);
    }
    let operation = if let Some(Redriven { order, .. }) = &unit.redriven {
        Operation::of(order, "redrive", Became::Applied, unit.now)
    } else {
        let at = unit.now.as_millis();
        let by = source(unit.home.env.service.name());
        let is_held = matches!(unit.settles, Settles::Parked(_));
        let (act, what) = if is_held { ("applied", "its record") } else { ("copy", "a copy of its record") };
        let reason = format!("{what} had its effects");
        let order = Order { id: id.to_string(), by, reason, at };
        Operation::of(&order, act, Became::Applied, unit.now)
    };
    unit.report(Operation { letter: Some(id.to_string()), ..operation });
}

/// Whether there is room for one more parked record. One that is parked already needs no more than it has.
pub(super) fn has_room(unit: &Unit) -> bool {
    let (books, lane) = (unit.home.books.borrow(), unit.lane());
    let limits = &unit.home.env.service.limits;
    books.parking.holds(&lane) || books.parking.has_room(&lane, unit.record.size(), limits)
}

impl Unit {
    pub(super) fn name(&self) -> String {
        self.registered().name.to_string()
    }

    /// The record as it is parked.
    fn parked(&self) -> Parked {
        let own_id = self.derived_own_id();
        Parked {
            since: self.now.as_millis(),
            past: self.past.clone(),
            redriven: self.redriven.clone(),
            muted: self.muted,
            ..Parked::new(&self.name(), &self.origin, &self.record, own_id)
        }
    }

    /// Parks a record behind all others of its lane.
    pub(super) fn put_last(&mut self, parked: &Parked) {
        let lane = self.lane();
        let (waits, bytes) = (parked.waits.clone(), parked.to_bytes());
        let number = self.home.books.borrow_mut().parking.number();
        let slot = Slot { lane: lane_key(&lane, &parked.handler), number, bytes: bytes.len() };
        self.keep(runtime_id(slot.lane.clone()), slot.suffix(), Some(bytes));
        self.entered.push(Entered::Parked { lane, slot, waits });
    }

    /// Parks the unit's record, which comes first in its lane, or leaves it parked for something else.
    fn put(&mut self, waits: Waits, past: Past) {
        let parked = Parked { waits, past: Some(past), ..self.parked() };
        match self.settles.clone() {
            Settles::Record { .. } | Settles::Timer { .. } | Settles::Nothing => self.put_last(&parked),
            Settles::Parked(slot) => self.put_head(&slot, &parked),
        }
    }

    /// Writes the first parked record of its lane again.
    pub(super) fn put_head(&mut self, slot: &Slot, parked: &Parked) {
        let bytes = parked.to_bytes();
        let (lane, waits) = (self.lane(), parked.waits.clone());
        self.entered.push(Entered::Head { lane, bytes: bytes.len(), waits });
        self.keep(runtime_id(slot.lane.clone()), slot.suffix(), Some(bytes));
    }

    /// The unit's event had its effects by another unit, which was under way at the same time: it has none.
    pub(crate) fn gives_way(&mut self) {
        self.writes.clear();
        self.outputs.clear();
        self.kept.clear();
        self.entered.clear();
        self.ended = Some(Ending::Copy);
        self.leave();
        self.count_copy();
    }

    /// The unit had effects when it ran before, and fails now: it has none.
    pub(super) fn goes_without_effects(&mut self) {
        self.forget();
        self.leave();
    }

    /// The unit's record is a copy. No other of the shard is counted until it is known what became of this one.
    fn count_copy(&mut self) {
        let handler = Arc::clone(&self.registered().name);
        let count = self.home.books.borrow().copies.one_more(&handler);
        let (suffix, value) = copies_entry(&handler, count);
        self.keep_own(suffix, Some(value));
        self.entered.push(Entered::Copied { handler, count });
    }

    /// The unit's record is parked no more, if it was.
    fn leave(&mut self) {
        if let Settles::Parked(slot) = &self.settles {
            let slot = slot.clone();
            self.remove(&slot);
        }
    }

    pub(super) fn remove(&mut self, slot: &Slot) {
        let (lane, number) = (self.lane(), slot.number);
        if !is_planted(Bug::ParkedStays) {
            self.keep(runtime_id(slot.lane.clone()), slot.suffix(), None);
        }
        self.entered.push(Entered::Gone { lane, number });
    }

    /// A letter is open no more.
    pub(super) fn close(&mut self, id: EventId) {
        self.keep_own(letter_suffix(id), None);
        self.entered.push(Entered::Closed { id });
    }

    /// Makes the record a dead letter, which opens, or opens for another round.
    fn write_letter(&mut self, then: Then, failed: &Failed) -> Result<(), Coded> {
        let env = Rc::clone(&self.home.env);
        let id = self.letter();
        let before = self.home.books.borrow().letters.get(id).cloned();
        let (number, mut history) = before.map_or((1, Vec::new()), |open| (open.round + 1, open.history));
        let (handler, past) = (self.name(), &failed.past);
        let own_id = self.derived_own_id();
        let round = Round {
            id,
            group: env.service.name(),
            handler: &handler,
            origin: &self.origin,
            own_id: &own_id,
            past,
            then,
            number,
            history: &history,
        };
        let topic = env.service.dead_letters;
        let partition = self.home.shard % env.output_topics[usize::from(topic)].partitions;
        let address = Address { topic, partition, timestamp: self.record.timestamp };
        let bytes = self.outputs.bytes();
        if !is_planted(Bug::LetterForgotten) {
            letters::write(&self.record, &round, env.service.letter_headers, address, &mut self.outputs);
        }
        self.check_size(topic, bytes).map_err(|error| Coded::new(Code::EFFECTS_REFUSED, error.to_string()))?;
        let cause = &past.cause;
        let at = Timestamp::from_millis(past.last);
        history.push(format!("{at} {} {} {}", cause.code, cause.fingerprint, cause.message));
        history.drain(..history.len().saturating_sub(MOST_ROUNDS));
        let open = Open { round: number, handler, since: self.now.as_millis(), history };
        self.keep_own(letter_suffix(id), Some(open.to_bytes()));
        self.entered.push(Entered::Opened { id, open });
        if let Some(Redriven { order, letter, .. }) = self.redriven.take() {
            let operation = Operation::of(&order, "redrive", Became::FailedAgain, self.now);
            self.report(Operation { letter: Some(letter), detail: format!("round {number}"), ..operation });
        }
        match then {
            Then::Hold if !is_planted(Bug::HoldForgotten) => {
                self.put(Waits::Held { letter: id.to_string() }, past.clone());
            }
            _ => self.leave(),
        }
        Ok(())
    }

    /// Records what became of a command.
    pub(crate) fn report(&mut self, operation: Operation) {
        let env = Rc::clone(&self.home.env);
        let operation = Operation { handler: self.name(), origin: self.position().to_string(), ..operation };
        let (value, headers) = operation.to_record();
        let topic = env.service.operations;
        let partition = self.home.shard % env.output_topics[usize::from(topic)].partitions;
        let address = Address { topic, partition, timestamp: self.now };
        self.outputs.push_raw(address, Some(operation.id.as_bytes()), &headers, Some(&value));
    }
}
