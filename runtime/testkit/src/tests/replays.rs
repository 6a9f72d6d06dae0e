//! What runs again from its journal: the same, unless its handlers depend on more than they are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::context::Context;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::state::Cell;

use crate::driver::TestDriver;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Ask {
    key: String,
    /// How many bytes the answer has.
    bytes: usize,
    /// How often the call fails before it answers.
    fails: u64,
    /// Whether it fails for good.
    is_permanent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    key: String,
    number: u64,
}

events! {
    Ask, "test.ask", "asks", |ask| Some(ask.key.as_bytes().into());
    Told, "test.told", "told", |told| Some(told.key.as_bytes().into());
}

const LAST: Cell<u64> = Cell::named("last");

/// Asks somebody outside, whose answers are never the same.
struct Asks {
    outside: Arc<AtomicU64>,
    /// Whether it tells what it was answered through the context.
    is_recorded: bool,
}

#[async_trait(?Send)]
impl Handler<Ask> for Asks {
    async fn handle(&self, ask: &Ask, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let outside = Arc::clone(&self.outside);
        let (is_failing, is_permanent) = (u64::from(cx.attempt()) <= ask.fails, ask.is_permanent);
        let bytes = ask.bytes;
        let call = async move {
            let number = outside.fetch_add(1, Ordering::SeqCst);
            match (is_failing, is_permanent) {
                (true, true) => Err(HandlerError::permanent(format!("no, for the {number}th time"))),
                (true, false) => Err(HandlerError::transient(format!("not now, for the {number}th time"))),
                (false, _) => Ok((number, "x".repeat(bytes))),
            }
        };
        let (number, _) = if self.is_recorded { cx.call("outside", call).await? } else { call.await? };
        cx.set(LAST, number);
        cx.emit(Told { key: ask.key.clone(), number });
        Ok(())
    }
}

fn asking(is_recorded: bool) -> (TestDriver, Arc<AtomicU64>) {
    let outside: Arc<AtomicU64> = Arc::default();
    let known = Arc::clone(&outside);
    let service = move || -> ServiceBuilder {
        let asks = Asks { outside: Arc::clone(&known), is_recorded };
        Service::builder("asking").on::<Ask>("asks", asks).emits::<Told>()
    };
    (TestDriver::new(service), outside)
}

fn ask(key: &str) -> Ask {
    Ask { key: key.to_owned(), ..Ask::default() }
}

#[test]
fn a_replay_is_given_the_answers_of_then_and_asks_nobody() {
    let (mut driver, outside) = asking(true);
    driver.send(ask("a"));
    driver.send(Ask { fails: 2, ..ask("b") });
    driver.send(ask("a"));
    let asked = outside.load(Ordering::SeqCst);
    assert_eq!((asked, driver.state("asks", "a").get(LAST)), (5, Some(4)));
    let replayed = driver.replay();
    assert_eq!((replayed.units, replayed.emitted, replayed.equal), (3, 3, 3));
    assert_eq!(replayed.differences, Vec::<String>::new());
    assert_eq!(outside.load(Ordering::SeqCst), asked, "nobody was asked");
}

#[test]
fn what_failed_outside_fails_again_in_a_replay() {
    let (mut driver, outside) = asking(true);
    driver.send(Ask { fails: 1, is_permanent: true, ..ask("a") });
    assert_eq!(driver.dead_letters().len(), 1);
    assert!(driver.replay().differences.is_empty());
    assert_eq!(outside.load(Ordering::SeqCst), 1);
}

#[test]
fn an_answer_that_is_too_large_is_not_kept_and_its_unit_says_so() {
    let (mut driver, outside) = asking(true);
    driver.send(Ask { bytes: 65_000, ..ask("a") });
    assert!(driver.replay().differences.is_empty());
    driver.send(Ask { bytes: 66_000, ..ask("a") });
    let differences = driver.replay().differences;
    assert!(differences[0].contains("TM-0903") && differences[0].contains("outside"), "{differences:?}");
    assert_eq!(outside.load(Ordering::SeqCst), 2);
    driver.may_differ();
}

#[test]
fn a_handler_that_depends_on_more_than_it_is_given_is_found() {
    let (mut driver, _) = asking(false);
    driver.send(ask("a"));
    driver.send(ask("a"));
    let replayed = driver.replay();
    assert_eq!((replayed.units, replayed.emitted, replayed.equal), (2, 2, 0));
    let found = |what: &str| replayed.differences.iter().filter(|found| found.contains(what)).count();
    assert_eq!((found("says something else"), found("last of key a of asks has another value")), (2, 1));
    driver.may_differ();
}

#[test]
fn lives_and_time_between_do_not_change_what_a_replay_sees() {
    let (mut driver, _) = asking(true);
    for key in ["a", "b", "a", "c"] {
        driver.send(ask(key));
        driver.crash_and_restart();
        driver.advance(Duration::from_secs(10));
    }
    let replayed = driver.replay();
    assert_eq!((replayed.units, replayed.equal, replayed.differences), (4, 4, Vec::new()));
}

/// Fails as long as somebody is away.
struct Waits(Arc<AtomicBool>);

#[async_trait(?Send)]
impl Handler<Ask> for Waits {
    async fn handle(&self, ask: &Ask, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(HandlerError::transient("nobody is there"));
        }
        cx.emit(Told { key: ask.key.clone(), number: 0 });
        Ok(())
    }
}

#[test]
fn what_a_record_emits_now_that_failed_several_times_is_one_event() {
    let away = Arc::new(AtomicBool::new(true));
    let known = Arc::clone(&away);
    let service = move || Service::builder("waiting").on::<Ask>("waits", Waits(Arc::clone(&known))).emits::<Told>();
    let mut driver = TestDriver::new(service);
    driver.send(ask("a"));
    assert_eq!(driver.dead_letters().len(), 1);
    away.store(false, Ordering::SeqCst);
    let differences = driver.replay().differences;
    let of = |words: &str| differences.iter().filter(|difference| difference.contains(words)).count();
    assert!(of("and does not now") > 1, "it was parked, and failed for good: {differences:?}");
    assert_eq!(of("is emitted to told, and was not"), 1, "{differences:?}");
    driver.may_differ();
}
