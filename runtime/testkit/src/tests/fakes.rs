//! The fakes keep the contracts too: what is proved on them would be worth little otherwise.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tidemill_core::ports::{Broker, Clock};

use crate::conformance::{self, Fixture};
use crate::fakes::{Scripted, Shape, VirtualClock, block_on};

struct Fake {
    clock: Arc<VirtualClock>,
    broker: Scripted,
}

impl Fake {
    fn new(shape: Shape, markers: u64) -> Self {
        let clock = VirtualClock::new();
        Self { broker: Scripted::new(&clock, shape).with_markers(markers), clock }
    }
}

impl Fixture for Fake {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.broker.clone())
    }

    fn run(&self, check: LocalBoxFuture<'_, ()>) {
        block_on(&self.clock, check);
    }

    fn pass(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }

    fn drain(&self) -> Duration {
        Duration::from_secs(4)
    }
}

#[test]
fn both_shapes_keep_every_contract_and_so_does_a_log_with_gaps() {
    for (shape, markers) in [(Shape::Batch, 0), (Shape::Unit, 0), (Shape::Batch, 1), (Shape::Unit, 2)] {
        conformance::log(&Fake::new(shape, markers));
        conformance::ownership(&Fake::new(shape, markers));
        conformance::commit(&Fake::new(shape, markers));
        conformance::broker(&Fake::new(shape, markers));
    }
}
