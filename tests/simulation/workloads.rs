//! The workloads: what is simulated, and what has to be true when all is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tidemill_core::codec::Codec;
use tidemill_core::event::Event;
use tidemill_core::headers;
use tidemill_core::limits::Limits;
use tidemill_core::ports::Broker;
use tidemill_core::publisher::Publisher;
use tidemill_core::record::Record;
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::state::{Cell, ScopeKey, decode};
use tidemill_embedded::{Embedded, Settings};
use tidemill_testkit::fakes::{VirtualClock, block_on};
use tidemill_testkit::reading::{at_once, records};
use tidemill_testkit::simulation::{Run, Simulation, Violation};

use crate::events::{Bought, Counted, Emptied, Picked, Tick, Tock};
use crate::handlers::{ByItem, ByShelf, COUNT, Counter, End, FAN, Fan, HISTORY, KEPT, Shelf};
use crate::{failing, operators, processes, timing};

/// Something to simulate.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) simulation: fn() -> Simulation,
}

/// All of them.
pub(crate) const ALL: &[Workload] = &[
    Workload { name: "counter", simulation: counter },
    Workload { name: "counter in tight bounds", simulation: tight },
    Workload { name: "counter in order", simulation: in_order },
    Workload { name: "maps", simulation: maps },
    Workload { name: "chain of three services", simulation: chain },
    Workload { name: "fan-out", simulation: fan_out },
    Workload { name: "two topics, upgraded", simulation: upgraded },
    Workload { name: "the shop", simulation: shop },
    Workload { name: "keys that fail for a time", simulation: failing::unsteady },
    Workload { name: "keys that fail for a time, in tight bounds", simulation: failing::tight },
    Workload { name: "poison", simulation: failing::poisoned },
    Workload { name: "a dependency that is away", simulation: failing::away },
    Workload { name: "keys on hold", simulation: operators::held },
    Workload { name: "partitions on hold", simulation: operators::held_in_order },
    Workload { name: "redrives", simulation: operators::redriven },
    Workload { name: "redrives without an inbox", simulation: operators::redriven_alone },
    Workload { name: "copies", simulation: copies },
    Workload { name: "timers", simulation: timing::timers },
    Workload { name: "timers, in tight bounds", simulation: timing::tight },
    Workload { name: "timers of an order", simulation: timing::in_order },
    Workload { name: "processes", simulation: processes::orders },
];

pub(crate) fn ticks(count: u64, keys: u64) -> impl Iterator<Item = Tick> {
    (0..count).map(move |n| Tick { key: format!("key-{}", n * n % keys), n })
}

fn bought(count: u64) -> impl Iterator<Item = Bought> {
    (0..count).map(|n| Bought { customer: format!("customer-{}", n % 5), n })
}

fn counting() -> ServiceBuilder {
    Service::builder("counting").on::<Tick>("counter", Counter).emits::<Counted>()
}

/// Handlers that take too long are given up well before the run is over.
pub(crate) fn limits() -> Limits {
    Limits { handler_timeout: Duration::from_secs(6), ..Limits::default() }
}

fn counter() -> Simulation {
    Simulation::of(|| counting().limits(limits())).feed_all(ticks(80, 11)).check(counts_are_right)
}

/// Every bound is met all the time, and nothing committed stays in memory.
pub(crate) fn tight_limits() -> Limits {
    Limits { in_flight: 3, lane_queue: 2, undone: 5, read_ahead: 600, commit_bytes: 2_000, state_cache: 0, ..limits() }
}

/// Some events come again, with their ids, soon and later.
fn copies() -> Simulation {
    let all =
        ticks(80, 11).zip(0_usize..).fold(Simulation::of(|| counting().limits(limits())), |simulation, (tick, n)| {
            let simulation = simulation.feed(tick);
            if n % 3 == 0 { simulation.feed_again(n * n % 17) } else { simulation }
        });
    all.check(|run| {
        let counted = cells(run, "counting", HISTORY).values().map(Vec::len).sum::<usize>() as u64;
        let (suppressed, fed) =
            (copies_suppressed(run, "counting"), run.topics[Tick::TOPIC].iter().flatten().count() as u64);
        if (counted, suppressed) == (80, fed - 80) {
            Vec::new()
        } else {
            let message =
                format!("{counted} events were counted, and {suppressed} copies; 80 were fed, with copies {fed}");
            vec![broken("I2", message)]
        }
    })
}

/// How many copies a service says there were.
fn copies_suppressed(run: &Run, service: &str) -> u64 {
    let own = |key: &[u8]| {
        let place = ScopeKey::parse(key).expect("a state key");
        place.handler.is_empty() && place.name == "copies"
    };
    let entries = run.states[service].iter().flatten().filter(|(key, _)| own(key));
    entries.map(|(_, value)| decode::<u64>(value).expect("written by the same build")).sum()
}

fn tight() -> Simulation {
    Simulation::of(|| counting().limits(tight_limits())).feed_all(ticks(80, 11)).check(counts_are_right)
}

fn in_order() -> Simulation {
    let service = || {
        let builder = Service::builder("counting").limits(limits()).emits::<Counted>();
        builder.handler("counter", Counter, |handler| handler.on::<Tick>().in_order())
    };
    Simulation::of(service).feed_all(ticks(60, 11)).check(counts_are_right).check(outputs_follow_inputs)
}

fn maps() -> Simulation {
    let service = || Service::builder("shelves").limits(limits()).on::<Tick>("shelf", Shelf);
    Simulation::of(service).feed_all(ticks(80, 7)).check(shelves_are_right)
}

fn chain() -> Simulation {
    Simulation::of(|| Service::builder("buying").limits(limits()).on::<Bought>("by-item", ByItem).emits::<Picked>())
        .and(|| Service::builder("picking").limits(limits()).on::<Picked>("by-shelf", ByShelf).emits::<Emptied>())
        .and(|| Service::builder("emptying").limits(limits()).on::<Emptied>("end", End))
        .feed_all(bought(50))
        .check(|run| reached_once(run, "emptying", 50))
}

fn fan_out() -> Simulation {
    let fanning = || {
        let builder = Service::builder("fanning").limits(limits()).on::<Bought>("fan", Fan);
        builder.emits::<Picked>().emits::<Emptied>()
    };
    Simulation::of(fanning)
        .and(|| Service::builder("picking").limits(limits()).on::<Picked>("end", End))
        .and(|| Service::builder("emptying").limits(limits()).on::<Emptied>("end", End))
        .feed_all(bought(40))
        .check(|run| reached_once(run, "picking", 40 * FAN))
        .check(|run| reached_once(run, "emptying", 40))
}

/// A newer version reads one topic more: the two never share a shard.
fn upgraded() -> Simulation {
    let newer = || {
        let builder = Service::builder("counting").limits(limits()).emits::<Counted>();
        builder.handler("counter", Counter, |handler| handler.on::<Tick>().on::<Tock>())
    };
    Simulation::of(|| counting().limits(limits()))
        .upgraded_to(newer)
        .feed_all(ticks(50, 11))
        .feed_all((0..20).map(|n| Tock { key: format!("key-{}", n % 11), n: 1000 + n }))
        // Which of two topics comes first is nobody's promise.
        .in_any_order()
        .check(all_counted)
}

fn shop() -> Simulation {
    let mut simulation = Simulation::of(|| orders::service().limits(limits()))
        .and(|| inventory::service().limits(limits()))
        .and(|| sales::service().limits(limits()));
    for record in order_lines(60) {
        simulation = match record.headers.text(headers::TYPE) {
            Some(ingest::OrderLineRecorded::NAME) => simulation.feed(read::<ingest::OrderLineRecorded>(&record)),
            Some(ingest::InvoiceClosed::NAME) => simulation.feed(read::<ingest::InvoiceClosed>(&record)),
            other => panic!("the generator makes no {other:?}"),
        };
    }
    simulation
}

fn read<E: Event>(record: &Record) -> E {
    let codec = E::Codec::open().expect("the schema fits the type");
    codec.decode(record.value.as_ref().expect("an event")).expect("written by the same build")
}

/// What `ingest` publishes of generated lines.
fn order_lines(lines: u64) -> Vec<Record> {
    let broker: Arc<dyn Broker> = Embedded::memory(&Settings::default(), VirtualClock::new());
    at_once(broker.topics().create(ingest::TOPIC, 1)).expect("`memory:` takes everything");
    let survey = ingest::Survey::of(ingest::Input::Generated { lines, seed: 1 }).expect("lines are made up");
    let to = Publisher::new(Arc::clone(&broker), ingest::SOURCE);
    let published = block_on(&VirtualClock::new(), survey.publish(to, None, |_| ()));
    published.expect("`memory:` takes everything");
    records(&*broker, ingest::TOPIC).into_iter().flatten().collect()
}

/// The cells of a service with their keys.
pub(crate) fn cells<T: DeserializeOwned>(run: &Run, service: &str, cell: Cell<T>) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    for (key, value) in run.states[service].iter().flatten() {
        let place = ScopeKey::parse(key).expect("a state key");
        if place.name == cell.name() && place.entry.is_none() {
            let key = String::from_utf8(place.key.to_vec()).expect("a key of text");
            found.insert(key, decode(value).expect("written by the same build"));
        }
    }
    found
}

/// The numbers of each key in a topic, as they stand there.
fn fed(run: &Run, topic: &str) -> BTreeMap<String, Vec<u64>> {
    let mut fed = BTreeMap::<String, Vec<u64>>::new();
    for record in run.topics[topic].iter().flatten() {
        let tick: Tick = serde_json::from_slice(record.value.as_deref().expect("an event")).expect("a tick");
        fed.entry(tick.key).or_default().push(tick.n);
    }
    fed
}

pub(crate) fn broken(invariant: &'static str, message: String) -> Violation {
    Violation { invariant, message }
}

/// Every key counted what it was fed, in that order, and said so once for each.
fn counts_are_right(run: &Run) -> Vec<Violation> {
    let (fed, histories) = (fed(run, Tick::TOPIC), cells(run, "counting", HISTORY));
    let mut violations = Vec::new();
    for (key, wanted) in &fed {
        let found = histories.get(key).cloned().unwrap_or_default();
        if found != *wanted {
            violations.push(broken("I3", format!("{key} counted {found:?} and was fed {wanted:?}")));
        }
    }
    let mut said = BTreeMap::<String, Vec<(u64, u64)>>::new();
    for record in run.topics[Counted::TOPIC].iter().flatten() {
        let counted: Counted = serde_json::from_slice(record.value.as_deref().expect("an event")).expect("a count");
        said.entry(counted.key).or_default().push((counted.n, counted.count));
    }
    for (key, wanted) in &fed {
        let wanted: Vec<(u64, u64)> = wanted.iter().copied().zip(1..).collect();
        let found = said.remove(key).unwrap_or_default();
        if found != wanted {
            violations.push(broken("I4", format!("{key} said {found:?}; it was fed so that it has to say {wanted:?}")));
        }
    }
    violations
}

/// Every number of both topics was counted once, whatever their order.
fn all_counted(run: &Run) -> Vec<Violation> {
    let mut wanted = fed(run, Tick::TOPIC);
    for (key, numbers) in fed(run, Tock::TOPIC) {
        wanted.entry(key).or_default().extend(numbers);
    }
    let histories = cells(run, "counting", HISTORY);
    let mut violations = Vec::new();
    for (key, wanted) in &mut wanted {
        let mut found = histories.get(key).cloned().unwrap_or_default();
        found.sort_unstable();
        wanted.sort_unstable();
        if found != *wanted {
            violations.push(broken("I2", format!("{key} counted {found:?} and was fed {wanted:?}")));
        }
    }
    violations
}

/// With `in_order`, outputs of one key's partition stand in the order of the inputs.
fn outputs_follow_inputs(run: &Run) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (partition, outputs) in run.topics[Counted::TOPIC].iter().enumerate() {
        let inputs: Vec<_> = run.topics[Tick::TOPIC][partition].iter().map(|record| record.id.clone()).collect();
        let causes: Vec<_> = outputs.iter().map(|record| record.cause.clone()).collect();
        if inputs != causes {
            violations.push(broken(
                "I3",
                format!("outputs of partition {partition} are caused by {causes:?}, not {inputs:?}"),
            ));
        }
    }
    violations
}

/// Every shelf has what a plain loop over its numbers leaves there.
fn shelves_are_right(run: &Run) -> Vec<Violation> {
    let counts = cells(run, "shelves", COUNT);
    let mut found = BTreeMap::<String, BTreeMap<u64, u64>>::new();
    for (key, value) in run.states["shelves"].iter().flatten() {
        let place = ScopeKey::parse(key).expect("a state key");
        let key = String::from_utf8(place.key.to_vec()).expect("a key of text");
        if let Some(entry) = place.entry.filter(|_| !place.handler.is_empty()) {
            let n = u64::from_be_bytes(entry.try_into().expect("eight bytes"));
            found.entry(key).or_default().insert(n, decode(value).expect("written by the same build"));
        }
    }
    let mut violations = Vec::new();
    for (key, numbers) in fed(run, Tick::TOPIC) {
        let (mut newest, mut count) = (BTreeMap::new(), None);
        for n in numbers {
            if n % 10 == 7 {
                newest.clear();
                count = None;
            } else {
                count = Some(count.unwrap_or(0) + 1);
                newest.insert(n, count.unwrap_or(0));
                while newest.len() > KEPT {
                    newest.pop_first();
                }
            }
        }
        let (found, counted) = (found.remove(&key).unwrap_or_default(), counts.get(&key).copied());
        if (&found, counted) != (&newest, count) {
            let message =
                format!("{key} holds {found:?}, count {counted:?}; it has to hold {newest:?}, count {count:?}");
            violations.push(broken("I2", message));
        }
    }
    violations
}

/// Every number below `count` reached the end of its way once.
fn reached_once(run: &Run, service: &str, count: u64) -> Vec<Violation> {
    let mut reached = BTreeMap::<u64, u64>::new();
    for (key, value) in run.states[service].iter().flatten() {
        let place = ScopeKey::parse(key).expect("a state key");
        if place.handler.is_empty() {
            continue;
        }
        let n = u64::from_be_bytes(place.entry.expect("a map").try_into().expect("eight bytes"));
        *reached.entry(n).or_default() += decode::<u64>(value).expect("written by the same build");
    }
    let wanted: BTreeMap<u64, u64> = (0..count).map(|n| (n, 1)).collect();
    let wrong = |n: &u64| (reached.get(n) != wanted.get(n)).then(|| format!("{n}: {:?}", reached.get(n)));
    let wrong: Vec<String> = wanted.keys().chain(reached.keys()).filter_map(wrong).collect();
    if wrong.is_empty() { Vec::new() } else { vec![broken("I2", format!("reached {service}: {}", wrong.join(", ")))] }
}
