use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::codec::Json;
use tidemill_core::context::Context;
use tidemill_core::event::Event;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::service::Service;
use tidemill_core::state::Cell;

use super::{Fault, Simulation, shrink};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sale(u64);

impl Event for Sale {
    const NAME: &'static str = "test.sale";
    const VERSION: u32 = 1;
    const TOPIC: &'static str = "sales";
    type Codec = Json;

    fn key(&self) -> Option<Cow<'_, [u8]>> {
        Some(vec![b'a' + (self.0 % 5) as u8].into())
    }
}

const TOTAL: Cell<u64> = Cell::named("total");

/// Adds up, and sends a mail that nobody can call back.
struct Mailer(Arc<AtomicU64>);

#[async_trait(?Send)]
impl Handler<Sale> for Mailer {
    async fn handle(&self, sale: &Sale, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let total = cx.get(TOTAL).await?.unwrap_or(0);
        cx.set(TOTAL, total + sale.0);
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn sales() -> (Simulation, Arc<AtomicU64>) {
    let mails = Arc::new(AtomicU64::new(0));
    let sent = Arc::clone(&mails);
    let service = move || Service::builder("sales").on::<Sale>("mailer", Mailer(Arc::clone(&sent)));
    (Simulation::of(service).feed_all((0..40).map(Sale)), mails)
}

fn mailing() -> Simulation {
    let (simulation, mails) = sales();
    let before = Arc::clone(&mails);
    let simulation = simulation.before_each(move || before.store(0, Ordering::Relaxed));
    simulation.watch("mails sent", move || mails.load(Ordering::Relaxed))
}

#[test]
fn a_seed_makes_the_same_run_again() {
    let (simulation, _) = sales();
    for seed in 0..8 {
        let faults = simulation.faults(seed);
        assert_eq!(simulation.faults(seed), faults);
        let ((one, _), (two, _)) = (simulation.trial(seed, &faults), simulation.trial(seed, &faults));
        assert_eq!(format!("{:?}", one.ledger), format!("{:?}", two.ledger));
    }
}

#[test]
fn seeds_differ_in_what_goes_wrong_and_when() {
    let (simulation, _) = sales();
    let ledger = |seed| format!("{:?}", simulation.trial(seed, &[]).0.ledger);
    assert_ne!(ledger(1), ledger(2), "scheduling follows from the seed");
    assert_ne!(simulation.faults(1), simulation.faults(2));
}

#[test]
fn what_keeps_its_promises_passes_and_tells_what_went_wrong() {
    let (simulation, _) = sales();
    let report = simulation.run(0..48);
    assert_eq!(report.seeds, 48);
    assert!(report.faults.len() > 12, "nearly every kind comes up: {report}");
    assert!(report.simulated.as_secs() > 48 * 20, "{report}");
}

#[test]
fn a_failure_is_shrunk_to_what_it_takes_and_shown_as_a_test() {
    let simulation = mailing();
    let caught = catch_unwind(AssertUnwindSafe(|| simulation.run(0..64)));
    let text = caught.expect_err("mails go out once for every attempt");
    let text = text.downcast_ref::<String>().expect("a message");
    assert!(text.contains("mails sent: 4") && text.contains("and 40 when nothing goes wrong"), "{text}");
    let seed: u64 = text.split_whitespace().nth(1).and_then(|seed| seed.parse().ok()).expect("seed N breaks");
    let fewest = shrink::shrink(&simulation, seed, simulation.faults(seed), "I2");
    assert!(fewest.len() <= 2, "one crash is enough: {fewest:?}");
    assert!(text.contains(&format!("simulation().replay({seed}, &[")), "{text}");
    assert!(fewest.iter().all(|planned| text.contains(&planned.to_string())), "{text}");
    assert!(catch_unwind(AssertUnwindSafe(|| simulation.replay(seed, &fewest))).is_err(), "it shows again");
    simulation.replay(seed, &[]);
}

#[test]
fn a_fault_prints_as_what_makes_it() {
    assert_eq!(Fault::CrashAtCall(3).at(20).to_string(), "(Fault::CrashAtCall(3)).at(20)");
}
