//! Timers: each fires once, in the order in which they are due, unless it was cancelled or replaced; whatever goes wrong meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_core::context::Context;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::limits::Limits;
use tidemill_core::service::{HandlerBuilder, Service, ServiceBuilder};
use tidemill_core::state::{Cell, Map, ScopeKey, decode};
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

/// Ticks of [`many`], and how many timers each winds up.
const WINDERS: u64 = 5_000;
const EACH: u64 = 20;
/// Which timers rang, by their number at their tick; and whether one rang before its time or out of order.
const RUNG: Map<u64, u64> = Map::named("rung");
const LAST: Cell<i64> = Cell::named("last");
const WRONG: Cell<u64> = Cell::named("wrong");

struct Many;

#[async_trait(?Send)]
impl Handler<Tick> for Many {
    async fn handle(&self, tick: &Tick, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        for number in 0..EACH {
            let n = tick.n * EACH + number;
            let after = Duration::from_millis(n * 7_919 % 60_000);
            cx.schedule(&format!("timer-{n}"), after, Ring { n }).await?;
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<Ring> for Many {
    async fn handle(&self, ring: &Ring, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let due = cx.metadata().timestamp();
        let last = cx.get(LAST).await?.unwrap_or(i64::MIN);
        if cx.now() < due || due.as_millis() < last {
            let wrong = cx.get(WRONG).await?.unwrap_or(0) + 1;
            cx.set(WRONG, wrong);
        }
        cx.set(LAST, due.as_millis());
        let times = cx.map(RUNG).get(&ring.n).await?.unwrap_or(0) + 1;
        cx.map(RUNG).insert(&ring.n, &times);
        Ok(())
    }
}

/// A hundred thousand timers in ten minutes, through every fault but clocks that are set back, which lawfully put timers out of order.
pub(crate) fn many() {
    let service = || {
        let builder = Service::builder("many").limits(Limits { timers: 100, ..limits() });
        builder.handler("many", Many, |handler| handler.on::<Tick>().on_timer::<Ring>().without_inbox())
    };
    let simulation = Simulation::of(service)
        .feed_all(ticks(WINDERS, 997))
        .horizon(Duration::from_mins(10))
        .in_any_order()
        .check(|run| {
            let mut times = BTreeMap::<u64, u64>::new();
            for (key, value) in run.states["many"].iter().flatten() {
                let place = ScopeKey::parse(key).expect("a state key");
                if let Some(entry) = place.entry.filter(|_| place.name == RUNG.name()) {
                    let n = u64::from_be_bytes(entry.try_into().expect("eight bytes"));
                    *times.entry(n).or_default() += decode::<u64>(value).expect("written by the same build");
                }
            }
            let wanted: BTreeMap<u64, u64> = (0..WINDERS * EACH).map(|n| (n, 1)).collect();
            let wrong = cells(run, "many", WRONG);
            if times == wanted && wrong.is_empty() {
                Vec::new()
            } else {
                vec![broken("I2", format!("{} of {} timers rang; out of order: {wrong:?}", times.len(), wanted.len()))]
            }
        });
    let mut faults: Vec<_> = (0..6).flat_map(|seed| simulation.faults(seed)).collect();
    faults.sort_by_key(|planned| planned.at);
    faults.retain(|planned| !matches!(planned.fault, Fault::Clock(by) if by < 0));
    let of = |is: fn(&Fault) -> bool| faults.iter().filter(|planned| is(&planned.fault)).count();
    let crashes = of(|fault| matches!(fault, Fault::CrashAtPoll(_) | Fault::CrashAtCall(_)));
    let moves = of(|fault| matches!(fault, Fault::Join(_) | Fault::Leave(_)));
    assert!(crashes > 5 && moves > 2, "faults enough to mean something: {faults:?}");
    simulation.replay(1, &faults);
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
