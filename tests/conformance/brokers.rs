//! The embedded broker: over memory, sled and fjall. The fakes of the kit pass the same suites in its own tests.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tempfile::TempDir;
use tidemill_core::ports::{Broker, Clock};
use tidemill_embedded::store::StoreKind;
use tidemill_embedded::{Embedded, Settings};
use tidemill_testkit::conformance::{self, Fixture};
use tidemill_testkit::fakes::{Inline, VirtualClock, block_on};

/// A broker in virtual time.
struct Embed {
    clock: Arc<VirtualClock>,
    broker: Arc<Embedded>,
    /// Gone when the test ends.
    _directory: Option<TempDir>,
}

impl Embed {
    fn memory() -> Self {
        let clock = VirtualClock::new();
        let broker = Embedded::memory(&settings(StoreKind::Sled), Arc::<VirtualClock>::clone(&clock));
        Self { clock, broker, _directory: None }
    }

    fn on_disk(store: StoreKind) -> Self {
        let (clock, directory) = (VirtualClock::new(), tempfile::tempdir().unwrap());
        let time = Arc::<VirtualClock>::clone(&clock);
        let broker = Embedded::open(directory.path(), &settings(store), time, Arc::new(Inline)).unwrap();
        Self { clock, broker, _directory: Some(directory) }
    }
}

fn settings(store: StoreKind) -> Settings {
    Settings { store, drain: Duration::from_secs(4), ..Settings::default() }
}

impl Fixture for Embed {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::<Embedded>::clone(&self.broker)
    }

    fn run(&self, check: LocalBoxFuture<'_, ()>) {
        block_on(&self.clock, check);
    }

    fn pass(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }

    fn drain(&self) -> Duration {
        settings(StoreKind::Sled).drain
    }
}

/// Every suite that a broker passes.
fn passes(fixture: &dyn Fixture) {
    conformance::log(fixture);
    conformance::ownership(fixture);
    conformance::commit(fixture);
    conformance::broker(fixture);
    conformance::sender(fixture);
}

#[test]
fn memory_is_a_broker() {
    passes(&Embed::memory());
}

#[test]
fn sled_carries_a_broker() {
    passes(&Embed::on_disk(StoreKind::Sled));
}

#[test]
fn fjall_carries_a_broker() {
    passes(&Embed::on_disk(StoreKind::Fjall));
}
