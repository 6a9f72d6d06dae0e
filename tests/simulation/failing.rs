//! Workloads that fail: for a time, for good, or because something is away.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_core::event::Event;
use tidemill_core::failure::{ErrorClass, Policies, Then};
use tidemill_core::internal;
use tidemill_core::limits::Limits;
use tidemill_core::retry::Retry;
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_testkit::simulation::{Run, Simulation, Stored, Violation};

use crate::events::{Counted, Garbage, Stranger, Tick};
use crate::handlers::{BANK, Depending, Fails, HISTORY, Unsteady};
use crate::workloads::{broken, cells, limits, ticks, tight_limits};

/// The service of these workloads.
pub(crate) const NAME: &str = "failing";

/// A few attempts in place, more of them delayed, all within seconds: more than the faults of a run take from one record.
pub(crate) fn policies(then: Then) -> Policies {
    let in_place =
        Retry { attempts: 2, first_delay: Duration::from_millis(50), longest_delay: Duration::from_millis(50) };
    let delayed =
        Retry { attempts: 8, first_delay: Duration::from_millis(200), longest_delay: Duration::from_millis(400) };
    let mut policies = Policies::default().with_retry(&in_place).with_then(then);
    for class in [ErrorClass::Transient, ErrorClass::Panic, ErrorClass::Timeout] {
        policies.of_mut(class).delayed = delayed.clone();
    }
    policies
}

pub(crate) fn service(fails: fn(u64) -> Fails, then: Then) -> ServiceBuilder {
    let builder = Service::builder(NAME).limits(limits()).failures(policies(then)).emits::<Counted>();
    builder.on::<Tick>("counter", Unsteady(fails))
}

fn for_a_time(n: u64) -> Fails {
    Fails::UpTo(if n % 5 == 1 { 1 + u32::try_from(n % 4).expect("below 4") } else { 0 })
}

/// Keys that fail for some attempts are parked, and everything is applied once, in order.
pub(crate) fn unsteady() -> Simulation {
    let simulation = Simulation::of(|| service(for_a_time, Then::Continue)).feed_all(ticks(60, 11));
    simulation.check(|run| applied(run, Some)).check(no_letters)
}

/// The same with every bound met all the time.
pub(crate) fn tight() -> Simulation {
    let limits = || Limits { parked: 6, lane_parked: 3, ..tight_limits() };
    let simulation = Simulation::of(move || service(for_a_time, Then::Continue).limits(limits()));
    simulation.feed_all(ticks(60, 7)).check(|run| applied(run, Some)).check(no_letters)
}

fn poisonous(n: u64) -> Fails {
    match n {
        n if n % 9 == 4 => Fails::Permanently,
        n if n % 13 == 5 => Fails::UpTo(u32::MAX),
        _ => for_a_time(n),
    }
}

/// What fails for good, or cannot be read, is a dead letter once, as it was; all else is applied once, in order.
pub(crate) fn poisoned() -> Simulation {
    let mut simulation = Simulation::of(|| service(poisonous, Then::Continue));
    for tick in ticks(60, 7) {
        let (key, n) = (tick.key.clone(), tick.n);
        simulation = simulation.feed(tick);
        simulation = match n % 16 {
            3 => simulation.feed(Garbage { key, n: format!("the {n}th") }),
            11 => simulation.feed(Stranger { key }),
            _ => simulation,
        };
    }
    let is_poison = |n| matches!(poisonous(n), Fails::Permanently | Fails::UpTo(u32::MAX));
    simulation
        .check(move |run| applied(run, |n| (!is_poison(n)).then_some(n)))
        .check(move |run| lettered(run, is_poison))
}

/// What a handler needs is away for a time: that spends no attempts, and everything is applied once, in order.
pub(crate) fn away() -> Simulation {
    let service = || {
        let builder = Service::builder(NAME).limits(limits()).failures(policies(Then::Continue)).emits::<Counted>();
        builder.handler("counter", Depending(Unsteady(for_a_time)), |handler| handler.on::<Tick>().needs(BANK))
    };
    Simulation::of(service).feed_all(ticks(60, 11)).check(|run| applied(run, Some)).check(no_letters)
}

/// The tick that a record of their topic is, if it is one.
pub(crate) fn tick(record: &Stored) -> Option<Tick> {
    let is_tick = record.event() == Some(Tick::NAME);
    is_tick.then(|| serde_json::from_slice(record.value.as_deref()?).ok()).flatten()
}

/// What each key was fed, as `becomes` says of each number, in order.
pub(crate) fn wanted(run: &Run, becomes: impl Fn(u64) -> Option<u64>) -> BTreeMap<String, Vec<u64>> {
    let mut wanted = BTreeMap::<String, Vec<u64>>::new();
    for tick in run.topics[Tick::TOPIC].iter().flatten().filter_map(tick) {
        wanted.entry(tick.key).or_default().extend(becomes(tick.n));
    }
    wanted
}

/// What each key said, in order.
pub(crate) fn said(run: &Run) -> BTreeMap<String, Vec<(u64, u64)>> {
    let mut said = BTreeMap::<String, Vec<(u64, u64)>>::new();
    for record in run.topics[Counted::TOPIC].iter().flatten() {
        let counted: Counted = serde_json::from_slice(record.value.as_deref().expect("an event")).expect("a count");
        said.entry(counted.key).or_default().push((counted.n, counted.count));
    }
    said
}

/// Every key counted what it was fed, as `becomes` says of each number, in that order, and said so once for each.
pub(crate) fn applied(run: &Run, becomes: impl Fn(u64) -> Option<u64>) -> Vec<Violation> {
    let (histories, mut said) = (cells(run, NAME, HISTORY), said(run));
    let mut violations = Vec::new();
    for (key, wanted) in wanted(run, becomes) {
        let found = histories.get(&key).cloned().unwrap_or_default();
        if found != wanted {
            violations.push(broken("I3", format!("{key} counted {found:?} and has to have counted {wanted:?}")));
        }
        let (wanted, found) = (wanted.into_iter().zip(1..).collect::<Vec<_>>(), said.remove(&key).unwrap_or_default());
        if found != wanted {
            violations.push(broken("I4", format!("{key} said {found:?} and has to have said {wanted:?}")));
        }
    }
    violations
}

fn letters(run: &Run) -> impl Iterator<Item = &Stored> {
    run.topics[internal::dead_letters(NAME).as_str()].iter().flatten()
}

fn no_letters(run: &Run) -> Vec<Violation> {
    let letter =
        |letter: &Stored| broken("I1", format!("{:?} became a dead letter, and nothing failed for good", letter.id));
    letters(run).map(letter).collect()
}

/// What is poison is a dead letter once, with its key, its headers and its value; nothing else is one.
fn lettered(run: &Run, is_poison: impl Fn(u64) -> bool) -> Vec<Violation> {
    let mut found = BTreeMap::<Option<&str>, Vec<&Stored>>::new();
    for letter in letters(run) {
        found.entry(letter.id.as_deref()).or_default().push(letter);
    }
    let mut violations = Vec::new();
    for record in run.topics[Tick::TOPIC].iter().flatten() {
        let found = found.remove(&record.id.as_deref()).unwrap_or_default();
        let wanted = usize::from(tick(record).is_none_or(|tick| is_poison(tick.n)));
        let is_same = |letter: &&Stored| {
            let headers = letter.headers.as_bytes().starts_with(record.headers.as_bytes());
            headers && letter.value == record.value && letter.key == record.key
        };
        if found.len() != wanted || !found.iter().all(is_same) {
            violations.push(broken("I1", format!("{record:?} has to be {wanted} dead letters, and is {found:?}")));
        }
    }
    violations
}
