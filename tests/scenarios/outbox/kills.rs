//! Every part is killed, and asked to end, in the middle of 20,000 orders.

use std::time::Duration;

use super::audit;
use super::orders::Orders;
use super::stage::{Process, Stage};
use crate::kafka::until;

const ORDERS: usize = 20_000;
/// How a process is ended.
const SIGNALS: [&str; 2] = ["KILL", "TERM"];

/// What is ended and started again.
#[derive(Debug, Clone, Copy)]
enum Part {
    Storefront,
    Service,
    Relay,
    Postgres,
    Broker,
}

const PARTS: [Part; 5] = [Part::Service, Part::Relay, Part::Postgres, Part::Broker, Part::Storefront];

struct Run {
    stage: Stage,
    storefront: Process,
    services: [Process; 2],
    relay: Process,
}

impl Run {
    fn meet(&mut self, part: Part, signal: &str) {
        eprintln!("{part:?} {signal}");
        let again = |process: &mut Process| {
            process.end(signal);
            process.start();
        };
        match part {
            Part::Storefront => again(&mut self.storefront),
            Part::Service => self.services.iter_mut().take(1).for_each(again),
            Part::Relay => again(&mut self.relay),
            Part::Postgres => {
                if signal == "KILL" {
                    self.stage.postgres.kill();
                }
                self.stage.postgres.restart().expect("it starts again");
            }
            Part::Broker => {
                if signal == "KILL" {
                    self.stage.kafka.kill();
                }
                self.stage.kafka.restart().expect("it starts again");
            }
        }
    }

    fn live(&mut self) {
        self.services.iter_mut().chain([&mut self.storefront, &mut self.relay]).for_each(Process::lives);
    }
}

#[test]
fn whatever_is_killed_each_order_has_its_rows_and_events_once() {
    let Some(stage) = Stage::open("killing the parts of an outbox") else { return };
    let services = ["first", "second"].map(|name| stage.bookings(name));
    let (storefront, relay) = (stage.storefront(), stage.relay("relay"));
    let mut run = Run { stage, storefront, services, relay };
    let orders = Orders::start(run.stage.address, ORDERS, Duration::ZERO);
    let troubles: Vec<(Part, &str)> = SIGNALS.iter().flat_map(|signal| PARTS.map(|part| (part, *signal))).collect();
    let every = ORDERS / (troubles.len() + 1);
    for (place, (part, signal)) in troubles.into_iter().enumerate() {
        let booked = || {
            let booked = run.stage.number("select count(*) from bookings.booked").unwrap_or_default();
            usize::try_from(booked).expect("a count")
        };
        until("orders are taken and booked", || orders.done() >= every * (place + 1) && booked() > every * place);
        run.meet(part, signal);
        run.live();
    }
    let answers = orders.finish();
    run.live();
    run.stage.settle();
    [&mut run.storefront, &mut run.relay].into_iter().chain(&mut run.services).for_each(|process| process.end("TERM"));
    let taken = audit::once(&run.stage, &answers);
    assert_eq!(taken + answers.refused.len(), ORDERS);
    // What single units left is folded into progress.
    let traces = run.stage.number("select count(*) from tidemill.done").expect("the database answers");
    eprintln!(
        "{taken} orders had their effects once, {} were refused; {traces} traces are left",
        answers.refused.len()
    );
    assert!(traces < 1_000, "{traces} traces are left");
}
