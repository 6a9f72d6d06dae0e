//! The handlers of the workloads. What they keep follows from the events of their key alone.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_core::context::Context;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::state::{Cell, Map};
use tidemill_core::time::Timestamp;

use crate::events::{Bought, Counted, Emptied, Picked, Tick, Tock};

/// All numbers of a key, in the order in which they came.
pub(crate) const HISTORY: Cell<Vec<u64>> = Cell::named("history");
/// How many there were.
pub(crate) const COUNT: Cell<u64> = Cell::named("count");
/// The newest few numbers of a key.
pub(crate) const NEWEST: Map<u64, u64> = Map::named("newest");
/// How many numbers [`NEWEST`] keeps.
pub(crate) const KEPT: usize = 3;

/// Counts what a key gets.
pub(crate) struct Counter;

impl Counter {
    pub(crate) async fn count(n: u64, cx: &mut Context<'_>) -> Result<u64, HandlerError> {
        let mut history = cx.get(HISTORY).await?.unwrap_or_default();
        let count = cx.get(COUNT).await?.unwrap_or(0) + 1;
        history.push(n);
        cx.set(HISTORY, history);
        cx.set(COUNT, count);
        Ok(count)
    }
}

#[async_trait(?Send)]
impl Handler<Tick> for Counter {
    async fn handle(&self, tick: &Tick, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let count = Self::count(tick.n, cx).await?;
        cx.emit(Counted { key: tick.key.clone(), n: tick.n, count });
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<Tock> for Counter {
    async fn handle(&self, tock: &Tock, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        Self::count(tock.n, cx).await.map(drop)
    }
}

/// Keeps the newest numbers of a key in a map, and forgets the key when it sees a number that ends in 7.
pub(crate) struct Shelf;

#[async_trait(?Send)]
impl Handler<Tick> for Shelf {
    async fn handle(&self, tick: &Tick, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        if tick.n % 10 == 7 {
            for (n, _) in cx.map(NEWEST).range(..).await? {
                cx.map(NEWEST).remove(&n);
            }
            cx.clear(COUNT);
            return Ok(());
        }
        let count = cx.get(COUNT).await?.unwrap_or(0) + 1;
        cx.set(COUNT, count);
        cx.map(NEWEST).insert(&tick.n, &count);
        let kept = cx.map(NEWEST).range(..).await?;
        for (n, _) in kept.iter().take(kept.len().saturating_sub(KEPT)) {
            cx.map(NEWEST).remove(n);
        }
        Ok(())
    }
}

/// Emits many for one.
pub(crate) struct Fan;

/// How many events one gives rise to.
pub(crate) const FAN: u64 = 4;

#[async_trait(?Send)]
impl Handler<Bought> for Fan {
    async fn handle(&self, bought: &Bought, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        for place in 0..FAN {
            cx.emit(Picked { item: format!("item-{}", (bought.n + place) % 6), n: bought.n * FAN + place });
        }
        cx.emit(Emptied { shelf: "all".to_owned(), n: bought.n });
        Ok(())
    }
}

/// Emits one for one, by another key.
pub(crate) struct ByItem;

#[async_trait(?Send)]
impl Handler<Bought> for ByItem {
    async fn handle(&self, bought: &Bought, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        cx.emit(Picked { item: format!("item-{}", bought.n % 6), n: bought.n });
        Ok(())
    }
}

/// Keeps how many of an item were picked, and emits one for one, by another key again.
pub(crate) struct ByShelf;

#[async_trait(?Send)]
impl Handler<Picked> for ByShelf {
    async fn handle(&self, picked: &Picked, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let count = cx.get(COUNT).await?.unwrap_or(0) + 1;
        cx.set(COUNT, count);
        cx.emit(Emptied { shelf: format!("shelf-{}", picked.n % 2), n: picked.n });
        Ok(())
    }
}

/// Every number that reached the end of a chain.
pub(crate) const REACHED: Map<u64, u64> = Map::named("reached");

/// Keeps every number that reaches it, and how often it did.
pub(crate) struct End;

impl End {
    async fn reach(n: u64, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let before = cx.map(REACHED).get(&n).await?.unwrap_or(0);
        cx.map(REACHED).insert(&n, &(before + 1));
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<Emptied> for End {
    async fn handle(&self, emptied: &Emptied, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        Self::reach(emptied.n, cx).await
    }
}

#[async_trait(?Send)]
impl Handler<Picked> for End {
    async fn handle(&self, picked: &Picked, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        Self::reach(picked.n, cx).await
    }
}

/// How a tick fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fails {
    /// Up to this attempt.
    UpTo(u32),
    /// Whenever it is tried, and trying again is of no use.
    Permanently,
}

/// Counts what a key gets, and fails as the number says, after all its work is done.
pub(crate) struct Unsteady(pub(crate) fn(u64) -> Fails);

#[async_trait(?Send)]
impl Handler<Tick> for Unsteady {
    async fn handle(&self, tick: &Tick, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let count = Counter::count(tick.n, cx).await?;
        cx.emit(Counted { key: tick.key.clone(), n: tick.n, count });
        match self.0(tick.n) {
            Fails::UpTo(attempt) if cx.attempt() <= attempt => Err(HandlerError::transient("not yet")),
            Fails::UpTo(_) => Ok(()),
            Fails::Permanently => Err(HandlerError::permanent("not ever")),
        }
    }
}

/// What [`Depending`] needs.
pub(crate) const BANK: &str = "bank";
/// When virtual time begins, in milliseconds since the epoch.
const BEGIN: Timestamp = Timestamp::from_millis(1_704_067_200_000);
/// From when on, and until when, by the wall clock, the bank is away.
const AWAY: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(18));

/// As [`Unsteady`], and needs a bank.
pub(crate) struct Depending(pub(crate) Unsteady);

#[async_trait(?Send)]
impl Handler<Tick> for Depending {
    async fn handle(&self, tick: &Tick, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let is_away = (BEGIN + AWAY.0..BEGIN + AWAY.1).contains(&cx.now());
        self.0.handle(tick, cx).await?;
        if is_away { Err(HandlerError::unavailable(BANK, "the bank is closed")) } else { Ok(()) }
    }
}
