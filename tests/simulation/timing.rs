//! Timers: each fires once, in the order in which they are due, unless it was cancelled or replaced; whatever goes wrong meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_core::context::Context;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::limits::Limits;
use tidemill_core::service::{HandlerBuilder, Service, ServiceBuilder};
use tidemill_core::state::Cell;
use tidemill_testkit::simulation::{Entry, Fault, Run, Simulation, Violation};

use crate::events::{Counted, Ring, Tick};
use crate::workloads::{broken, cells, limits, ticks, tight_limits};

const TICKS: u64 = 80;
const KEYS: u64 = 11;
/// The name that some timers share, so that each replaces the one before.
const SHARED: &str = "shared";
/// Which ticks schedule a timer under that name, cancel it, or schedule one that is cancelled at once: of eight one after the other.
const REPLACES: u64 = 5;
const CANCELS: u64 = 6;
const REGRETS: u64 = 7;

/// What rang: its number, when it was due, and whether it rang before that.
const RANG: Cell<Vec<(u64, i64, bool)>> = Cell::named("rang");
/// The numbers that were scheduled under the shared name and neither replaced nor cancelled, so far as they did not ring.
const SHARES: Cell<Vec<u64>> = Cell::named("shares");

struct Clockwork;

#[async_trait(?Send)]
impl Handler<Tick> for Clockwork {
    async fn handle(&self, tick: &Tick, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let n = tick.n;
        let ring = || Ring { n };
        let after = Duration::from_millis(n * n * 37 % 9_000);
        let name = format!("timer-{n}");
        match n % 8 {
            REPLACES => {
                let replaced = cx.due(SHARED).await?.is_some();
                cx.schedule(SHARED, after, ring()).await?;
                if replaced {
                    give_up(cx).await?;
                }
                let mut shares = cx.get(SHARES).await?.unwrap_or_default();
                shares.push(n);
                cx.set(SHARES, shares);
            }
            CANCELS => {
                if cx.cancel(SHARED).await? {
                    give_up(cx).await?;
                }
            }
            REGRETS => {
                cx.schedule(&name, after, ring()).await?;
                assert!(cx.cancel(&name).await?, "it was scheduled");
                assert!(!cx.cancel(&name).await?, "it was cancelled");
            }
            _ => cx.schedule(&name, after, ring()).await?,
        }
        Ok(())
    }
}

/// The last under the shared name will not ring.
async fn give_up(cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let mut shares = cx.get(SHARES).await?.unwrap_or_default();
    shares.pop();
    cx.set(SHARES, shares);
    Ok(())
}

#[async_trait(?Send)]
impl Handler<Ring> for Clockwork {
    async fn handle(&self, ring: &Ring, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let mut history = cx.get(RANG).await?.unwrap_or_default();
        let due = cx.metadata().timestamp();
        history.push((ring.n, due.as_millis(), cx.now() < due));
        cx.set(RANG, history);
        let key = String::from_utf8_lossy(cx.metadata().key().unwrap_or_default()).into_owned();
        cx.emit(Counted { key, n: ring.n, count: 1 });
        // The first time it rings it is wound up again, under a name that is free by then.
        let again = Ring { n: ring.n + 1_000 };
        if ring.n.is_multiple_of(8) && ring.n < 1_000 {
            cx.schedule(&format!("timer-{}", ring.n), Duration::from_secs(2), again).await?;
        }
        Ok(())
    }
}

fn clockwork(limits: Limits, declare: fn(HandlerBuilder<Clockwork>) -> HandlerBuilder<Clockwork>) -> ServiceBuilder {
    let builder = Service::builder("clockwork").limits(limits).emits::<Counted>();
    builder.handler("clockwork", Clockwork, |handler| declare(handler.on::<Tick>().on_timer::<Ring>()))
}

fn simulated(service: impl Fn() -> ServiceBuilder + 'static) -> Simulation {
    Simulation::of(service).feed_all(ticks(TICKS, KEYS)).in_any_order().check(all_rang)
}

pub(crate) fn timers() -> Simulation {
    simulated(|| clockwork(limits(), |handler| handler))
}

/// Of timers, one at a time is in memory.
pub(crate) fn tight() -> Simulation {
    simulated(|| clockwork(Limits { timers: 1, ..tight_limits() }, |handler| handler))
}

pub(crate) fn in_order() -> Simulation {
    simulated(|| clockwork(Limits { timers: 2, ..limits() }, HandlerBuilder::in_order))
}

fn all_rang(run: &Run) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut found = BTreeMap::<u64, u64>::new();
    let set = run.ledger.iter().any(|(_, entry)| matches!(entry, Entry::Spent { fault: Fault::Clock(_), .. }));
    for (key, rang) in cells(run, "clockwork", RANG) {
        for (n, due, early) in &rang {
            *found.entry(*n).or_default() += 1;
            if *early {
                violations.push(broken("I3", format!("timer {n} of {key} rang before it was due at {due}")));
            }
        }
        if !set && !rang.is_sorted_by_key(|(_, due, _)| *due) {
            violations.push(broken("I3", format!("timers of {key} rang out of order: {rang:?}")));
        }
    }
    let plain = (0..TICKS).filter(|n| n % 8 < REPLACES);
    let again = (0..TICKS).filter(|n| n % 8 == 0).map(|n| n + 1_000);
    let shared = cells(run, "clockwork", SHARES).into_values().flatten();
    let wanted: BTreeMap<u64, u64> = plain.chain(again).chain(shared).map(|n| (n, 1)).collect();
    let all: BTreeSet<&u64> = wanted.keys().chain(found.keys()).collect();
    let wrong = all.into_iter().filter(|n| wanted.get(n) != found.get(n));
    violations.extend(wrong.map(|n| {
        let (found, wanted) = (found.get(n).unwrap_or(&0), wanted.get(n).unwrap_or(&0));
        broken("I2", format!("timer {n} rang {found} times; it has to {wanted} times"))
    }));
    violations
}
