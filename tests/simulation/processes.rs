//! Sagas: each order ends once, and what was done for one that fails is undone once; whatever goes wrong meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill::prelude::*;
use tidemill::saga::{Begin, Compensation, Leads, Missing, Next, SagaBuilder, State, Step, Undo};
use tidemill_testkit::simulation::{Run, Simulation, Violation};

use crate::workloads::{broken, limits};

const ORDERS: u64 = 60;
/// How long an order may take, and for how long its end is kept.
const OVERDUE: Duration = Duration::from_secs(90);
const KEPT: Duration = Duration::from_secs(5);

/// Whoever pays has several orders.
const ACCOUNTS: u64 = 7;

/// What becomes of an order, by its number: of five one after the other.
const PREPAID: u64 = 1;
const REFUSED: u64 = 2;
const UNPAID: u64 = 3;
const SILENT: u64 = 4;

macro_rules! events {
    ($($type:ident, $name:literal, $topic:literal;)*) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
        #[event(name = $name, version = 1, topic = $topic, key = order, codec = json)]
        struct $type {
            order: u64,
        }
    )*};
}

events! {
    Placed, "sim.placed", "placed";
    Reserve, "sim.reserve", "reserve";
    Release, "sim.release", "release";
    Reserved, "sim.reserved", "reserved";
    Refused, "sim.refused", "reserved";
    Charge, "sim.charge", "charge";
    Declined, "sim.declined", "paid";
    Confirmed, "sim.confirmed", "confirmed";
}

/// It stands under the key of whoever paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.paid", version = 1, topic = "payments", key = account, codec = json)]
struct Paid {
    order: u64,
    account: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.overdue", version = 1, codec = json)]
struct Overdue {}

#[derive(Serialize, Deserialize)]
struct Reserving {}

impl State for Reserving {
    const NAME: &'static str = "reserving";
}

#[derive(Serialize, Deserialize)]
struct Paying {}

impl State for Paying {
    const NAME: &'static str = "paying";
}

#[derive(Serialize, Deserialize)]
struct ReleaseStock {
    order: u64,
}

impl Compensation for ReleaseStock {
    const NAME: &'static str = "release-stock";
}

struct Process;

#[async_trait(?Send)]
impl Begin<Placed> for Process {
    async fn begin(&self, placed: &Placed, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.schedule("overdue", OVERDUE, Overdue {}).await?;
        cx.request(Reserve { order: placed.order });
        Ok(Next::to(Reserving {}))
    }
}

#[async_trait(?Send)]
impl Step<Reserving, Reserved> for Process {
    async fn step(&self, _: Reserving, event: &Reserved, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.request(Charge { order: event.order });
        Ok(Next::to(Paying {}).undo_with(ReleaseStock { order: event.order }))
    }
}

#[async_trait(?Send)]
impl Step<Reserving, Refused> for Process {
    async fn step(&self, _: Reserving, _: &Refused, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::abort("out of stock"))
    }
}

#[async_trait(?Send)]
impl Step<Paying, Paid> for Process {
    async fn step(&self, _: Paying, event: &Paid, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.emit(Confirmed { order: event.order });
        Ok(Next::end("confirmed"))
    }
}

#[async_trait(?Send)]
impl Step<Paying, Declined> for Process {
    async fn step(&self, _: Paying, event: &Declined, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        // Nothing of a step that fails for good may stay.
        cx.emit(Confirmed { order: event.order });
        Err(HandlerError::permanent("declined"))
    }
}

#[async_trait(?Send)]
impl<S: State> Step<S, Overdue> for Process {
    async fn step(&self, _: S, _: &Overdue, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::abort("nobody paid"))
    }
}

#[async_trait(?Send)]
impl Undo<ReleaseStock> for Process {
    async fn undo(&self, release: ReleaseStock, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        cx.emit(Release { order: release.order });
        if cx.random().is_multiple_of(3) { Err(HandlerError::transient("not now")) } else { Ok(()) }
    }
}

fn declared(saga: SagaBuilder<Process>) -> SagaBuilder<Process> {
    let long = Duration::from_hours(1);
    saga.begins_with::<Placed>([Leads::to::<Reserving>()])
        .keyed_by::<Paid, _>(|paid| paid.order.to_string())
        .state::<Reserving>(|state| {
            let state = state.on::<Reserved>([Leads::to::<Paying>()]).on::<Refused>([Leads::abort()]);
            let state = state.on::<Overdue>([Leads::abort()]).ignore::<Placed>();
            state.wait::<Paid>(long).wait::<Declined>(long)
        })
        .state::<Paying>(|state| {
            let state = state.on::<Paid>([Leads::end("confirmed")]);
            let state = state.on::<Declined>([]).on::<Overdue>([Leads::abort()]);
            state.ignore::<Placed>().ignore::<Reserved>().ignore::<Refused>()
        })
        .missing::<Reserved>(Missing::DeadLetter)
        .missing::<Refused>(Missing::DeadLetter)
        .missing::<Paid>(Missing::DeadLetter)
        .missing::<Declined>(Missing::DeadLetter)
        .missing::<Overdue>(Missing::DeadLetter)
        .undo::<ReleaseStock>()
        .ends_kept(OVERDUE + KEPT)
}

fn process() -> ServiceBuilder {
    let builder = Service::builder("process").limits(limits()).saga("process", Process, declared);
    builder.emits::<Reserve>().emits::<Charge>().emits::<Release>().emits::<Confirmed>()
}

/// The warehouse. What is paid before it is asked for may overtake what it answers.
async fn reserve(ask: &Reserve, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let order = ask.order;
    if order % 5 == PREPAID {
        cx.emit(Paid { order, account: order % ACCOUNTS });
    }
    match order % 5 {
        REFUSED => cx.reply(Refused { order }),
        _ => cx.reply(Reserved { order }),
    }
    Ok(())
}

/// The bank.
async fn charge(ask: &Charge, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let order = ask.order;
    match order % 5 {
        SILENT | PREPAID => {}
        UNPAID => cx.reply(Declined { order }),
        _ => cx.emit(Paid { order, account: order % ACCOUNTS }),
    }
    Ok(())
}

fn answers() -> ServiceBuilder {
    let builder = Service::builder("answers").limits(limits());
    let builder = builder.on::<Reserve>("reserve", reserve).on::<Charge>("charge", charge);
    builder.emits::<Reserved>().emits::<Refused>().emits::<Paid>().emits::<Declined>()
}

pub(crate) fn orders() -> Simulation {
    let placed = (0..ORDERS).map(|order| Placed { order });
    Simulation::of(process).and(answers).feed_all(placed).in_any_order().check(each_ends_once)
}

fn each_ends_once(run: &Run) -> Vec<Violation> {
    let count = |topic: &str| {
        let mut counts = BTreeMap::<u64, u64>::new();
        for record in run.topics[topic].iter().flatten() {
            let event: Placed = serde_json::from_slice(record.value.as_deref().expect("an event")).expect("an order");
            *counts.entry(event.order).or_default() += 1;
        }
        counts
    };
    let (confirmed, released) = (count(Confirmed::TOPIC), count(Release::TOPIC));
    let mut violations = Vec::new();
    for order in 0..ORDERS {
        let wanted = match order % 5 {
            REFUSED => (0, 0),
            UNPAID | SILENT => (0, 1),
            _ => (1, 0),
        };
        let found = [&confirmed, &released].map(|counts| counts.get(&order).copied().unwrap_or(0));
        if found != [wanted.0, wanted.1] {
            let message = format!("order {order} was confirmed {} times and undone {} times", found[0], found[1]);
            violations.push(broken("I7", message));
        }
    }
    violations
}
