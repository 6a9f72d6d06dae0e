//! Sagas as their authors see them: steps, events that come too early or too late, time-outs, and what is undone when.

macro_rules! send {
    ($driver:ident, $type:ident) => {
        send!($driver, $type, "")
    };
    ($driver:ident, $type:ident, $wrong:literal) => {
        $driver.send($type { order: "7".into(), wrong: $wrong.into() })
    };
}

mod asking;
mod early;
mod helped;
mod killed;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::context::Context;
use tidemill_core::failure::Then;
use tidemill_core::handler::HandlerError;
use tidemill_core::retry::Retry;
use tidemill_core::saga::{
    Begin, Compensation, Instance, Leads, Missing, Next, SagaBuilder, State, StateBuilder, Status, Step, Undo,
};
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::state::Cell;

use super::parking::patient;
use crate::driver::TestDriver;

const INSTANCE: Cell<Instance> = Cell::named("tidemill.saga");
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

macro_rules! of_orders {
    ($($type:ident, $name:literal, $topic:literal;)*) => {
        $(
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            struct $type {
                order: String,
                /// What goes wrong with it, if anything does.
                #[serde(default)]
                wrong: String,
            }
        )*

        events! { $($type, $name, $topic, |event| Some(event.order.as_bytes().into());)* }
    };
}

of_orders! {
    Placed, "test.placed", "placed";
    Reserved, "test.reserved", "reserved";
    Refused, "test.refused", "refused";
    Paid, "test.paid", "paid";
    Overdue, "test.overdue", "";
    Reserve, "test.reserve", "reserve";
    Release, "test.release", "release";
    Charge, "test.charge", "charge";
    Confirmed, "test.confirmed", "confirmed";
}

#[derive(Serialize, Deserialize)]
struct Reserving {
    wrong: String,
}

#[derive(Serialize, Deserialize)]
struct Paying {}

impl State for Reserving {
    const NAME: &'static str = "reserving";
}

impl State for Paying {
    const NAME: &'static str = "paying";
}

#[derive(Serialize, Deserialize)]
struct ReleaseStock {
    wrong: String,
}

impl Compensation for ReleaseStock {
    const NAME: &'static str = "release-stock";
}

struct Checkout;

#[async_trait(?Send)]
impl Begin<Placed> for Checkout {
    async fn begin(&self, placed: &Placed, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.schedule("overdue", HOUR, Overdue { order: placed.order.clone(), wrong: String::new() }).await?;
        cx.request(Reserve { order: placed.order.clone(), wrong: placed.wrong.clone() });
        Ok(Next::to(Reserving { wrong: placed.wrong.clone() }))
    }
}

#[async_trait(?Send)]
impl Step<Reserving, Reserved> for Checkout {
    async fn step(&self, state: Reserving, event: &Reserved, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.request(Charge { order: event.order.clone(), wrong: state.wrong.clone() });
        Ok(Next::to(Paying {}).undo_with(ReleaseStock { wrong: state.wrong }))
    }
}

#[async_trait(?Send)]
impl Step<Reserving, Refused> for Checkout {
    async fn step(&self, _: Reserving, _: &Refused, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::abort("out of stock"))
    }
}

#[async_trait(?Send)]
impl Step<Paying, Paid> for Checkout {
    async fn step(&self, _: Paying, event: &Paid, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.emit(Confirmed { order: event.order.clone(), wrong: String::new() });
        if event.wrong.contains("bad") {
            Err(HandlerError::permanent("a bad payment"))
        } else {
            Ok(Next::end("confirmed"))
        }
    }
}

#[async_trait(?Send)]
impl<S: State> Step<S, Overdue> for Checkout {
    async fn step(&self, _: S, _: &Overdue, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::abort("nobody paid"))
    }
}

#[async_trait(?Send)]
impl Undo<ReleaseStock> for Checkout {
    async fn undo(&self, release: ReleaseStock, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let order = String::from_utf8(cx.metadata().key().unwrap_or_default().to_vec())?;
        cx.emit(Release { order, wrong: String::new() });
        let before = cx.get(INSTANCE).await?.expect("it is undone").to_undo().count();
        assert_eq!(before, 1);
        let says = |word: &str| release.wrong.contains(word);
        assert!(!says("panic"), "it panics");
        if says("undeclared") {
            cx.emit(Refused { order: "7".to_owned(), wrong: String::new() });
        }
        if says("for good") {
            return Err(HandlerError::permanent("nobody takes it back"));
        }
        let fails = says("always") || says("for a while") && !cx.random().is_multiple_of(3);
        if fails { Err(HandlerError::transient("not now")) } else { Ok(()) }
    }
}

fn declared(saga: SagaBuilder<Checkout>) -> SagaBuilder<Checkout> {
    saga.begins_with::<Placed>([Leads::to::<Reserving>()])
        .state::<Reserving>(|state| {
            let state = state.on::<Reserved>([Leads::to::<Paying>()]);
            let state = state.on::<Refused>([Leads::abort()]).on::<Overdue>([Leads::abort()]);
            state.wait::<Paid>(MINUTE).ignore::<Placed>()
        })
        .state::<Paying>(|state| {
            let state = state.on::<Paid>([Leads::end("confirmed")]).on::<Overdue>([Leads::abort()]);
            state.ignore::<Reserved>().ignore::<Refused>().ignore::<Placed>()
        })
        .missing::<Reserved>(Missing::Wait(MINUTE))
        .missing::<Refused>(Missing::DeadLetter)
        .missing::<Paid>(Missing::DeadLetter)
        .missing::<Overdue>(Missing::DeadLetter)
        .undo::<ReleaseStock>()
        .undo_retry(Retry { attempts: 20, first_delay: Duration::from_millis(100), longest_delay: MINUTE })
}

fn service(declare: fn(SagaBuilder<Checkout>) -> SagaBuilder<Checkout>) -> ServiceBuilder {
    let builder = Service::builder("checkout").failures(patient(0, Then::Continue)).saga("checkout", Checkout, declare);
    builder.emits::<Reserve>().emits::<Release>().emits::<Charge>().emits::<Confirmed>()
}

fn checkout() -> TestDriver {
    TestDriver::new(|| service(declared))
}

fn instance(driver: &TestDriver) -> Option<Instance> {
    driver.state("checkout", "7").get(INSTANCE)
}

fn status(driver: &TestDriver) -> Status {
    instance(driver).expect("there is one").status
}

fn ended(outcome: &str) -> Status {
    Status::Ended(outcome.to_owned())
}

#[test]
fn a_process_goes_on_from_event_to_event_and_ends() {
    let mut driver = checkout();
    send!(driver, Placed);
    driver.crash_and_restart();
    send!(driver, Reserved);
    assert_eq!(instance(&driver).expect("it runs").state, "paying");
    send!(driver, Paid);
    assert_eq!(status(&driver), ended("confirmed"));
    assert_eq!((driver.emitted::<Charge>().len(), driver.emitted::<Confirmed>().len()), (1, 1));
    let history = instance(&driver).expect("it is kept").history;
    let steps: Vec<_> = history.iter().map(|step| (&*step.event, &*step.from, &*step.to, &step.emitted[..])).collect();
    assert_eq!(
        steps,
        [
            ("test.placed", "", "reserving", &["test.reserve".to_owned()][..]),
            ("test.reserved", "reserving", "paying", &["test.charge".to_owned()][..]),
            ("test.paid", "paying", "confirmed", &["test.confirmed".to_owned()][..]),
        ]
    );
    // What comes late finds the end, and changes nothing.
    send!(driver, Placed);
    send!(driver, Paid);
    driver.advance(HOUR);
    assert_eq!((driver.emitted::<Reserve>().len(), driver.emitted::<Release>().len()), (1, 0));
    assert!(driver.dead_letters().is_empty());
    driver.advance(Duration::from_hours(24));
    assert_eq!((instance(&driver), driver.timers().len(), driver.entries()), (None, 0, 0));
    send!(driver, Placed);
    assert_eq!(instance(&driver).expect("another one").state, "reserving");
}

#[test]
fn what_was_done_is_undone_when_a_step_fails_for_good_or_time_is_up() {
    let mut driver = checkout();
    send!(driver, Placed);
    send!(driver, Reserved);
    send!(driver, Paid, "bad");
    assert_eq!((status(&driver), driver.emitted::<Release>().len()), (ended("compensated"), 1));
    assert!(driver.emitted::<Confirmed>().is_empty() && driver.dead_letters().is_empty(), "nothing of the step stays");
    assert_eq!(instance(&driver).expect("it is kept").reason.as_deref(), Some("a bad payment"));

    let mut driver = checkout();
    send!(driver, Placed);
    send!(driver, Reserved);
    driver.advance(MINUTE * 59);
    assert_eq!(status(&driver), Status::Running);
    driver.advance(MINUTE);
    assert_eq!((status(&driver), driver.emitted::<Release>().len()), (ended("compensated"), 1));

    let mut driver = checkout();
    send!(driver, Placed);
    send!(driver, Refused);
    assert_eq!((status(&driver), driver.emitted::<Release>().len()), (ended("aborted"), 0));
}

#[test]
fn undoing_is_tried_again_and_then_needs_a_person() {
    let mut driver = checkout();
    send!(driver, Placed, "for a while");
    send!(driver, Reserved);
    driver.advance(HOUR);
    driver.crash_and_restart();
    driver.advance(HOUR);
    assert_eq!(
        (status(&driver), driver.emitted::<Release>().len()),
        (ended("compensated"), 1),
        "failed attempts leave nothing"
    );
    let undone = instance(&driver).expect("it is kept").undone;
    assert_eq!(undone, ["release-stock"]);

    for (wrong, tries) in [("for good", 1), ("always", 20)] {
        let mut driver = checkout();
        driver.send(Placed { order: "7".into(), wrong: wrong.into() });
        send!(driver, Reserved);
        driver.advance(HOUR);
        driver.advance(HOUR);
        let instance = instance(&driver).expect("it is kept");
        assert_eq!(
            (instance.status.clone(), instance.to_undo().collect::<Vec<_>>()),
            (Status::NeedsPerson, vec!["release-stock"])
        );
        assert!(driver.emitted::<Release>().is_empty());
        let undone = instance.history.iter().filter(|step| step.event == "undo release-stock");
        assert_eq!(undone.map(|step| step.times).sum::<u32>(), tries, "{wrong}");
    }
}

#[test]
fn what_comes_too_early_waits_until_its_state() {
    let mut driver = checkout();
    send!(driver, Reserved);
    send!(driver, Placed);
    // It was there before, and its turn is now.
    assert_eq!(instance(&driver).expect("it runs").state, "paying");

    let mut driver = checkout();
    send!(driver, Placed);
    send!(driver, Paid);
    assert_eq!(instance(&driver).expect("it runs").state, "reserving");
    driver.crash_and_restart();
    send!(driver, Reserved);
    assert_eq!(status(&driver), ended("confirmed"));
    assert!(driver.dead_letters().is_empty());
}

#[test]
fn what_waits_for_too_long_or_belongs_to_nobody_is_a_dead_letter() {
    let mut driver = checkout();
    send!(driver, Paid);
    send!(driver, Reserved);
    let said =
        |driver: &TestDriver| driver.dead_letters().iter().map(|letter| letter.message.clone()).collect::<Vec<_>>();
    assert_eq!(said(&driver), ["there is no instance that test.paid could belong to"]);
    driver.advance(MINUTE);
    assert_eq!(said(&driver)[1], "test.reserved has waited for as long as it may");
    driver.advance(MINUTE);
    assert_eq!((instance(&driver), driver.entries(), driver.timers().len()), (None, 0, 0));

    let mut driver = checkout();
    send!(driver, Placed);
    send!(driver, Paid);
    driver.advance(MINUTE);
    assert_eq!(said(&driver), ["test.paid has waited for as long as it may"]);
    send!(driver, Reserved);
    assert_eq!(instance(&driver).expect("it runs").state, "paying");
}

#[test]
fn what_a_saga_forgot_to_say_is_said_when_it_is_built() {
    let refused = |declare| service(declare).build().err().expect("it is refused").to_string();
    let pair = refused(|saga| {
        let saga = saga.begins_with::<Placed>([]).missing::<Reserved>(Missing::DeadLetter);
        saga.state::<Reserving>(|state| state.on::<Reserved>([]).ignore::<Placed>())
            .state::<Paying>(StateBuilder::ignore::<Placed>)
    });
    assert!(pair.contains("saga checkout: state paying does not say what happens with test.reserved"), "{pair}");
    let missing = refused(|saga| {
        let saga = saga.begins_with::<Placed>([Leads::to::<Reserving>()]);
        saga.state::<Reserving>(|state| state.on::<Reserved>([]).ignore::<Placed>())
    });
    assert!(
        missing.contains("it does not say what happens with test.reserved where there is no instance"),
        "{missing}"
    );
    let nothing = refused(|saga| saga.state::<Paying>(StateBuilder::ignore::<Placed>));
    assert!(nothing.contains("nothing begins it"), "{nothing}");
    let twice = refused(|saga| {
        saga.begins_with::<Placed>([]).state::<Paying>(|state| state.ignore::<Placed>().wait::<Placed>(MINUTE))
    });
    assert!(twice.contains("state paying says twice what happens with test.placed"), "{twice}");
}
