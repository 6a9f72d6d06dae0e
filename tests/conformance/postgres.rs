//! A real Postgres beside a log in memory passes the suite of commits, and its relay sends each row once.

mod fence;
mod handler;
mod order;
mod outbox;
mod process;
mod readable;
mod relay;
mod rows;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tidemill_core::ports::{Broker, Clock, Lease, NoObserver};
use tidemill_core::relay::Relay;
use tidemill_embedded::{Embedded, Settings as LogSettings};
use tidemill_postgres::{OutboxTable, Postgres, Settings, migrate};
use tidemill_testkit::conformance::{self, Fixture};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::kafka::Wall;

/// How long a member may take to give up what is asked back.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a relay may be silent.
const LEASE: Duration = Duration::from_secs(2);

fn event_loop() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The database of the tests, with tables of its own in this schema.
fn database(url: &str, schema: &str) -> Settings {
    let settings = Settings::new(url, schema).unwrap();
    event_loop().block_on(migrate(&settings)).unwrap();
    settings
}

fn memory() -> Arc<Embedded> {
    Embedded::memory(&LogSettings { drain: DRAIN, ..LogSettings::default() }, Arc::new(Wall))
}

fn relay(log: &Arc<dyn Broker>, database: &Settings, holder: &str) -> Relay {
    let lease = Lease { name: "relay".into(), holder: holder.into(), time: LEASE };
    let outbox = Box::new(OutboxTable::new(database));
    Relay::new(log, outbox, lease, Arc::new(Wall), Arc::new(NoObserver)).unwrap()
}

/// A log, the database beside it, and the relay between them on a thread of its own.
struct Beside {
    broker: Arc<Postgres>,
    stop: Option<oneshot::Sender<()>>,
    relay: Option<JoinHandle<()>>,
}

impl Beside {
    fn open(url: &str) -> Self {
        let (database, log): (_, Arc<dyn Broker>) = (database(url, "conformance"), memory());
        let mut relay = relay(&log, &database, "conformance");
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || event_loop().block_on(relay.run(async { drop(stopped.await) })).unwrap();
        let relay = Some(std::thread::spawn(run));
        Self { broker: Postgres::beside(log, database, Arc::new(Wall)), stop: Some(stop), relay }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.relay.take().unwrap().join().unwrap();
    }
}

impl Fixture for Beside {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::<Postgres>::clone(&self.broker)
    }

    fn run(&self, check: LocalBoxFuture<'_, ()>) {
        event_loop().block_on(check);
    }

    fn pass(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        Wall.sleep(duration)
    }

    fn drain(&self) -> Duration {
        DRAIN
    }

    fn watch(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn refuses_places(&self) -> bool {
        false
    }
}

#[test]
fn postgres_commits() {
    let Some(url) = devkit::postgres::for_tests("commits in Postgres") else { return };
    conformance::commit(&Beside::open(url));
}
