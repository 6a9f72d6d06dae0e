//! Events that come too early: their order when their time has come.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::context::Context;
use tidemill_core::handler::HandlerError;
use tidemill_core::saga::{Begin, Leads, Missing, Next, State, Step};
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::state::Cell;

use super::MINUTE;
use crate::driver::TestDriver;

#[derive(Debug, Serialize, Deserialize)]
struct Begun {}

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    what: String,
}

events! {
    Begun, "early.begun", "told", |_| Some(b"7".as_slice().into());
    Told, "early.told", "told", |_| Some(b"7".as_slice().into());
}

const NOTES: Cell<Vec<String>> = Cell::named("notes");

#[derive(Serialize, Deserialize)]
struct Noting {
    notes: Vec<String>,
}

impl State for Noting {
    const NAME: &'static str = "noting";
}

/// Notes what it is told, once it has begun.
struct Notes;

#[async_trait(?Send)]
impl Begin<Begun> for Notes {
    async fn begin(&self, _: &Begun, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        // Until it is tried again, what comes after it is read, and is there when it is done.
        if cx.attempt() == 1 {
            return Err(HandlerError::transient("not now"));
        }
        Ok(Next::to(Noting { notes: Vec::new() }))
    }
}

#[async_trait(?Send)]
impl Step<Noting, Told> for Notes {
    async fn step(&self, mut state: Noting, told: &Told, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        state.notes.push(told.what.clone());
        cx.set(NOTES, state.notes.clone());
        Ok(Next::to(state))
    }
}

fn service() -> ServiceBuilder {
    Service::builder("notes").saga("notes", Notes, |saga| {
        saga.begins_with::<Begun>([Leads::to::<Noting>()])
            .missing::<Told>(Missing::Wait(MINUTE))
            .state::<Noting>(|state| state.on::<Told>([Leads::to::<Noting>()]).ignore::<Begun>())
    })
}

#[test]
fn what_waited_comes_in_its_order_and_before_what_came_after_it() {
    let mut driver = TestDriver::new(service);
    let numbers: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let (early, late) = numbers.split_at(8);
    let tell = |numbers: &[String], driver: &mut TestDriver| {
        for what in numbers {
            driver.publish(&Told { what: what.clone() });
        }
    };
    // All of them are there at once, and are handled within one commit: the last before those that waited have had their turn.
    tell(early, &mut driver);
    driver.publish(&Begun {});
    tell(late, &mut driver);
    driver.crash_and_restart();
    assert_eq!(driver.state("notes", "7").get(NOTES), Some(numbers));
    driver.advance(MINUTE * 2);
    assert_eq!((driver.timers().len(), driver.dead_letters().len()), (0, 0));
}
