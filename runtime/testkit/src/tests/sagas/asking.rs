//! Commands and their replies, events that stand under another key, and builds that cannot go on with what is stored.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::code::Code;
use tidemill_core::context::Context;
use tidemill_core::event::Event;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::saga::{Begin, Instance, Leads, Missing, Next, SagaBuilder, State, StateBuilder, Status, Step};
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::state::Cell;

use crate::driver::TestDriver;
use crate::tests::stage::encoded;

const INSTANCE: Cell<Instance> = Cell::named("tidemill.saga");
const PATIENCE: Duration = Duration::from_mins(1);

macro_rules! plain {
    ($($type:ident, $name:literal, $topic:literal, $key:expr;)*) => {
        $(
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            struct $type {
                order: String,
                account: String,
            }
        )*

        events! { $($type, $name, $topic, $key;)* }
    };
}

plain! {
    Begun, "asking.begun", "begun", |event| Some(event.order.as_bytes().into());
    Charge, "asking.charge", "charges", |event| Some(event.account.as_bytes().into());
    Charged, "asking.charged", "charged", |event| Some(event.account.as_bytes().into());
    Unanswered, "asking.unanswered", "", |event| Some(event.order.as_bytes().into());
    Delivered, "asking.delivered", "deliveries", |event| Some(event.account.as_bytes().into());
}

#[derive(Serialize, Deserialize)]
struct Asking {}

impl State for Asking {
    const NAME: &'static str = "asking";
}

#[derive(Serialize, Deserialize)]
struct Shipping {}

impl State for Shipping {
    const NAME: &'static str = "shipping";
}

/// A process that asks a bank, and then waits for a delivery.
struct Purchase;

#[async_trait(?Send)]
impl Begin<Begun> for Purchase {
    async fn begin(&self, begun: &Begun, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        let Begun { order, account } = begun.clone();
        let unanswered = Unanswered { order: order.clone(), account: account.clone() };
        cx.request_within(Charge { order, account }, PATIENCE, unanswered).await?;
        Ok(Next::to(Asking {}))
    }
}

#[async_trait(?Send)]
impl Step<Asking, Charged> for Purchase {
    async fn step(&self, _: Asking, _: &Charged, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::to(Shipping {}))
    }
}

#[async_trait(?Send)]
impl Step<Asking, Unanswered> for Purchase {
    async fn step(&self, _: Asking, _: &Unanswered, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::end("unanswered"))
    }
}

#[async_trait(?Send)]
impl Step<Shipping, Delivered> for Purchase {
    async fn step(&self, _: Shipping, _: &Delivered, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::end("delivered"))
    }
}

/// Answers what it is asked, but for one account.
struct Bank;

#[async_trait(?Send)]
impl Handler<Charge> for Bank {
    async fn handle(&self, charge: &Charge, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let Charge { order, account } = charge.clone();
        if account != "silent" {
            cx.reply(Charged { order, account });
        }
        Ok(())
    }
}

fn declared(saga: SagaBuilder<Purchase>) -> SagaBuilder<Purchase> {
    saga.begins_with::<Begun>([Leads::to::<Asking>()])
        .keyed_by::<Delivered, _>(|delivered| delivered.order.clone())
        .state::<Asking>(|state| {
            let state = state.on::<Charged>([Leads::to::<Shipping>()]).on::<Unanswered>([Leads::end("unanswered")]);
            state.ignore::<Begun>().wait::<Delivered>(PATIENCE)
        })
        .state::<Shipping>(|state| {
            let state = state.on::<Delivered>([Leads::end("delivered")]);
            state.ignore::<Begun>().ignore::<Charged>().ignore::<Unanswered>()
        })
        .missing::<Charged>(Missing::DeadLetter)
        .missing::<Unanswered>(Missing::DeadLetter)
        .missing::<Delivered>(Missing::DeadLetter)
}

fn shop() -> ServiceBuilder {
    let builder = Service::builder("shop").saga("purchase", Purchase, declared);
    builder.on::<Charge>("bank", Bank).emits::<Charge>().emits::<Charged>()
}

fn begun(account: &str) -> Begun {
    Begun { order: "7".to_owned(), account: account.to_owned() }
}

fn instance(driver: &TestDriver) -> Instance {
    driver.state("purchase", "7").get(INSTANCE).expect("it is kept")
}

#[test]
fn a_reply_comes_back_to_whoever_asked_and_ends_the_wait() {
    let mut driver = TestDriver::new(shop);
    driver.send(begun("a"));
    assert_eq!((instance(&driver).state.as_str(), driver.timers().len()), ("shipping", 0));
    assert!(driver.dead_letters().is_empty(), "no instance of key a was asked for");
    driver.advance(PATIENCE * 2);
    assert_eq!(instance(&driver).status, Status::Running);
}

#[test]
fn a_command_that_nobody_answers_ends_the_wait_by_time() {
    let mut driver = TestDriver::new(shop);
    driver.send(begun("silent"));
    driver.crash_and_restart();
    assert_eq!((instance(&driver).state.as_str(), driver.timers().len()), ("asking", 1));
    driver.advance(PATIENCE);
    assert_eq!(instance(&driver).status, Status::Ended("unanswered".to_owned()));
}

#[test]
fn a_record_under_another_key_is_handed_on_to_the_key_of_its_instance() {
    let mut driver = TestDriver::new(shop);
    driver.send(begun("a"));
    driver.send(Delivered { order: "7".to_owned(), account: "somebody".to_owned() });
    assert_eq!(instance(&driver).status, Status::Ended("delivered".to_owned()));
    assert_eq!(instance(&driver).history.last().expect("it ended").id.as_deref(), Some("2"), "the event is the same");
    assert!(driver.dead_letters().is_empty());
    driver.send(Delivered { order: "8".to_owned(), account: "somebody".to_owned() });
    let letters = driver.dead_letters();
    assert_eq!((letters.len(), letters[0].handler.as_str(), letters[0].key()), (1, "purchase", Some("8")));
}

/// A delivery as a program writes it that knows nothing of our headers.
fn foreign(order: &str) -> Vec<u8> {
    encoded(&Delivered { order: order.to_owned(), account: "somebody".to_owned() })
}

#[test]
fn a_record_without_headers_is_handed_on_and_waits_as_any_other() {
    let mut driver = TestDriver::new(shop);
    driver.send_raw(Delivered::TOPIC, Some("somebody"), &foreign("7"));
    let letters = driver.dead_letters();
    assert_eq!((letters.len(), letters[0].handler.as_str()), (1, "purchase"), "there is no instance yet");
    driver.send(begun("silent"));
    driver.send_raw(Delivered::TOPIC, Some("somebody"), &foreign("7"));
    assert_eq!(instance(&driver).state, "asking");
    driver.reply::<Charge, _>(Charged { order: "7".to_owned(), account: "silent".to_owned() });
    assert_eq!(instance(&driver).status, Status::Ended("delivered".to_owned()), "it waited");
    assert_eq!(driver.dead_letters().len(), 1);
}

#[test]
fn whoever_hands_on_is_called_as_handlers_may_be() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Foreign {
        order: Vec<u8>,
    }

    events! { Foreign, "com.Example.Delivered", "deliveries", |_| None; }

    #[async_trait(?Send)]
    impl Begin<Foreign> for Bank {
        async fn begin(&self, _: &Foreign, _: &mut Context<'_>) -> Result<Next, HandlerError> {
            Ok(Next::to(Shipping {}))
        }
    }

    let builder = || {
        Service::builder("shop").saga("purchase", Bank, |saga| {
            let saga = saga.begins_with::<Foreign>([Leads::to::<Shipping>()]);
            saga.keyed_by::<Foreign, _>(|event| event.order.clone()).state::<Shipping>(StateBuilder::ignore::<Foreign>)
        })
    };
    let service = builder().build().expect("it fits together");
    let names: Vec<_> = service.handler_names().map(|name| &**name).collect();
    assert_eq!(names, ["purchase.com.example.delivered", "purchase"]);
    // Keys need not be text.
    let mut driver = TestDriver::new(builder);
    driver.send(Foreign { order: vec![0xff] });
    assert_eq!((driver.dead_letters().len(), driver.entries()), (0, 1));
}

#[test]
fn only_a_saga_gets_replies() {
    async fn ask(begun: &Begun, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        cx.request(Charge { order: begun.order.clone(), account: begun.account.clone() });
        Ok(())
    }
    let mut driver = TestDriver::new(|| Service::builder("shop").on::<Begun>("ask", ask).emits::<Charge>());
    driver.send(begun("a"));
    assert!(driver.dead_letters()[0].message.contains("only a saga gets replies"));
}

#[test]
fn a_build_that_cannot_go_on_with_what_is_stored_does_not_start() {
    static IS_NEW: AtomicBool = AtomicBool::new(false);
    let mut driver = TestDriver::new(|| {
        if !IS_NEW.load(Ordering::SeqCst) {
            return shop();
        }
        // The state that instances are in is gone.
        let builder = Service::builder("shop").saga("purchase", Purchase, |saga| {
            let saga = saga.begins_with::<Begun>([Leads::to::<Shipping>()]).missing::<Delivered>(Missing::DeadLetter);
            saga.keyed_by::<Delivered, _>(|delivered| delivered.order.clone())
                .state::<Shipping>(|state| state.on::<Delivered>([Leads::end("delivered")]).ignore::<Begun>())
        });
        builder.on::<Charge>("bank", Bank).emits::<Charge>().emits::<Charged>()
    });
    driver.send(begun("silent"));
    IS_NEW.store(true, Ordering::SeqCst);
    let refused = driver.try_restart().expect_err("it cannot go on");
    assert_eq!(refused.code, Code::STATE_UNREADABLE);
    let said = refused.message;
    assert!(said.contains("saga purchase of service shop cannot go on with 1 of its instances"), "{said}");
    assert!(said.contains("state asking is not declared"), "{said}");
    IS_NEW.store(false, Ordering::SeqCst);
    driver.advance(PATIENCE);
    assert_eq!(instance(&driver).status, Status::Ended("unanswered".to_owned()), "the build before goes on");
}
