//! Timers as their users see them: when they fire, what cancels them, and what becomes of those whose handling fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::context::Context;
use tidemill_core::failure::{Policies, Then};
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::limits::Limits;
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::state::Cell;

use super::parking::patient;
use crate::driver::TestDriver;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Wish {
    key: String,
    /// What is scheduled: names, and after how many seconds.
    schedules: Vec<(String, u64)>,
    cancels: Vec<String>,
    fails: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Due {
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stray;

events! {
    Wish, "test.wish", "wishes", |wish| (!wish.key.is_empty()).then(|| wish.key.as_bytes().into());
    Due, "test.due", "", |_| None;
    Stray, "test.stray", "", |_| None;
}

/// What fired.
const FIRED: Cell<Vec<String>> = Cell::named("fired");

struct Alarms;

#[async_trait(?Send)]
impl Handler<Wish> for Alarms {
    async fn handle(&self, wish: &Wish, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        for (name, seconds) in &wish.schedules {
            if name == "stray" {
                cx.schedule(name, Duration::ZERO, Stray).await?;
            }
            cx.schedule(name, Duration::from_secs(*seconds), Due { name: name.clone() }).await?;
        }
        for name in &wish.cancels {
            let is_there = cx.due(name).await?.is_some();
            assert_eq!(cx.cancel(name).await?, is_there);
        }
        if wish.fails { Err(HandlerError::permanent("as it was told")) } else { Ok(()) }
    }
}

#[async_trait(?Send)]
impl Handler<Due> for Alarms {
    async fn handle(&self, due: &Due, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        assert!(cx.now() >= cx.metadata().timestamp(), "not before it is due");
        if due.name.starts_with("bad") {
            return Err(HandlerError::permanent("a bad name"));
        }
        if due.name == "again" {
            cx.schedule("again", Duration::from_secs(10), due.clone()).await?;
        }
        let mut fired = cx.get(FIRED).await?.unwrap_or_default();
        fired.push(due.name.clone());
        cx.set(FIRED, fired);
        Ok(())
    }
}

fn alarms() -> ServiceBuilder {
    let builder = Service::builder("alarms").failures(patient(0, Then::Continue));
    builder.handler("alarms", Alarms, |handler| handler.on::<Wish>().on_timer::<Due>())
}

fn wish(key: &str, schedules: &[(&str, u64)]) -> Wish {
    let schedules = schedules.iter().map(|(name, seconds)| ((*name).to_owned(), *seconds)).collect();
    Wish { key: key.to_owned(), schedules, ..Wish::default() }
}

fn fired(driver: &TestDriver, key: &str) -> Vec<String> {
    driver.state("alarms", key).get(FIRED).unwrap_or_default()
}

#[test]
fn timers_fire_in_the_order_in_which_they_are_due() {
    let mut driver = TestDriver::new(alarms);
    driver.send(wish("a", &[("third", 30), ("first", 10), ("second", 20), ("at once", 0)]));
    assert_eq!(fired(&driver, "a"), ["at once"]);
    assert_eq!(
        driver.timers().iter().map(|pending| &pending.timer.name[..]).collect::<Vec<_>>(),
        ["first", "second", "third"]
    );
    driver.advance(Duration::from_secs(9));
    assert_eq!(fired(&driver, "a"), ["at once"]);
    driver.advance(Duration::from_secs(12));
    assert_eq!(fired(&driver, "a"), ["at once", "first", "second"]);
    driver.crash_and_restart();
    driver.advance(Duration::from_hours(24));
    assert_eq!(fired(&driver, "a"), ["at once", "first", "second", "third"]);
    assert!(driver.timers().is_empty());
    assert_eq!(driver.entries(), 1, "nothing is left of them");
}

#[test]
fn timers_that_were_missed_fire_once_each_in_order() {
    // One at a time is in memory.
    let mut driver = TestDriver::new(|| alarms().limits(Limits { timers: 1, ..Limits::default() }));
    let names: Vec<String> = (0..50).map(|n| format!("timer-{n:02}")).collect();
    let schedules: Vec<(&str, u64)> = names.iter().rev().zip(0..).map(|(name, n)| (&name[..], 100 - n)).collect();
    driver.send(wish("a", &schedules));
    driver.stop_for(Duration::from_hours(1));
    assert_eq!(fired(&driver, "a"), names);
}

#[test]
fn a_name_stands_for_one_timer_of_a_key() {
    let mut driver = TestDriver::new(alarms);
    driver.send(wish("a", &[("one", 10)]));
    driver.send(wish("b", &[("one", 10)]));
    driver.send(wish("a", &[("one", 20), ("one", 30)]));
    driver.advance(Duration::from_secs(25));
    assert_eq!((fired(&driver, "a"), fired(&driver, "b")), (Vec::new(), vec!["one".to_owned()]));
    driver.advance(Duration::from_secs(10));
    assert_eq!(fired(&driver, "a"), ["one"]);
}

#[test]
fn what_is_cancelled_or_never_committed_does_not_fire() {
    let mut driver = TestDriver::new(alarms);
    driver
        .send(Wish { cancels: vec!["here".to_owned(), "never".to_owned()], ..wish("a", &[("here", 1), ("kept", 1)]) });
    driver.send(wish("a", &[("later", 1)]));
    driver.send(Wish { cancels: vec!["later".to_owned()], ..wish("a", &[]) });
    driver.send(Wish { fails: true, ..wish("a", &[("failed", 1)]) });
    driver.advance(Duration::from_secs(5));
    assert_eq!(fired(&driver, "a"), ["kept"]);
    assert_eq!(driver.dead_letters().len(), 1);
}

#[test]
fn a_timer_may_schedule_itself_again() {
    let mut driver = TestDriver::new(alarms);
    driver.send(wish("a", &[("again", 10)]));
    driver.advance(Duration::from_secs(35));
    assert_eq!(fired(&driver, "a"), ["again"; 3]);
    driver.send(Wish { cancels: vec!["again".to_owned()], ..wish("a", &[]) });
    driver.advance(Duration::from_secs(35));
    assert_eq!(fired(&driver, "a"), ["again"; 3]);
}

#[test]
fn a_timer_that_fails_is_a_dead_letter_or_holds_its_key() {
    let mut driver = TestDriver::new(alarms);
    driver.send(wish("a", &[("bad", 1), ("good", 2)]));
    driver.advance(Duration::from_secs(5));
    assert_eq!(fired(&driver, "a"), ["good"]);
    let letters = driver.dead_letters();
    assert_eq!((letters.len(), &*letters[0].origin.source.topic), (1, "alarms.timers"));

    let holding = || alarms().failures(Policies::default().with_then(Then::Hold));
    let mut driver = TestDriver::new(holding);
    driver.send(wish("a", &[("bad", 1), ("good", 2)]));
    driver.send(wish("b", &[("good", 2)]));
    driver.advance(Duration::from_secs(5));
    assert_eq!((fired(&driver, "a"), fired(&driver, "b")), (Vec::new(), vec!["good".to_owned()]));
    assert_eq!(driver.parked().len(), 2, "what follows waits behind it");
    assert!(driver.timers().is_empty());
}

#[test]
fn what_cannot_be_scheduled_is_said() {
    let mut driver = TestDriver::new(alarms);
    driver.send(wish("", &[("keyless", 1)]));
    driver.send(wish("a", &[("stray", 1)]));
    driver.send(wish("a", &[(&"x".repeat(20_000), 1)]));
    let said: Vec<String> = driver.dead_letters().iter().map(|letter| letter.message.clone()).collect();
    assert!(said[0].contains("has no key, and only a key has timers"), "{said:?}");
    assert!(said[1].contains("add .on_timer::<"), "{said:?}");
    assert!(said[2].contains("is the limit"), "{said:?}");
    let emits = alarms().emits::<Due>().build().err().expect("it goes to no topic").to_string();
    assert!(emits.contains("event test.due names no topic"), "{emits}");
}

/// Asks whether a timer of the key is there still.
struct Asks;

const IS_THERE: Cell<bool> = Cell::named("is-there");

#[async_trait(?Send)]
impl Handler<Wish> for Asks {
    async fn handle(&self, wish: &Wish, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let is_there = cx.due(&wish.schedules[0].0).await?.is_some();
        cx.set(IS_THERE, is_there);
        Ok(())
    }
}

#[test]
fn a_timer_that_nobody_handles_any_more_is_a_dead_letter_and_gone() {
    static IS_NEW: AtomicBool = AtomicBool::new(false);
    let mut driver = TestDriver::new(|| {
        let builder = Service::builder("alarms");
        if IS_NEW.load(Ordering::SeqCst) {
            return builder.on::<Wish>("alarms", Asks);
        }
        builder.handler("alarms", Alarms, |handler| handler.on::<Wish>().on_timer::<Due>())
    });
    let wish = || Wish { key: "a".into(), schedules: vec![("one".into(), 60)], ..Wish::default() };
    driver.send(wish());
    IS_NEW.store(true, Ordering::SeqCst);
    driver.crash_and_restart();
    driver.advance(Duration::from_mins(2));
    assert_eq!((driver.dead_letters().len(), driver.timers().len()), (1, 0));
    driver.send(wish());
    assert_eq!(driver.state("alarms", "a").get(IS_THERE), Some(false));
}
