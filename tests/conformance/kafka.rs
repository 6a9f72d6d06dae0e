//! A real Kafka passes the suites too, under both protocols by which its groups agree.

mod cache;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use devkit::kafka::{Options, own_for_tests};
use futures_util::future::{BoxFuture, LocalBoxFuture};
use tidemill_core::ports::{Blocking, Broker, Clock};
use tidemill_core::time::Timestamp;
use tidemill_embedded::store;
use tidemill_kafka::{GroupProtocol, Kafka, Settings};
use tidemill_testkit::conformance::{self, Fixture};
use tokio::runtime::{Builder, Runtime};

/// How long a member may take to give up what is asked back.
const DRAIN: Duration = Duration::from_secs(4);
/// How long a member may be silent. The broker has to allow so little.
const SESSION: Duration = Duration::from_secs(4);
/// What comes at all comes within this time.
const WATCH: Duration = Duration::from_secs(1);
/// Checks that run at the same time.
const AT_ONCE: usize = 8;

/// The machine's own time.
pub(crate) struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Made when it is polled, on the runtime of the check.
        Box::pin(async move { tokio::time::sleep(duration).await })
    }
}

/// Threads for questions to the cluster.
struct Threads(Runtime);

impl Blocking for Threads {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        drop(self.0.handle().spawn_blocking(job));
    }
}

/// A cluster of one node, in real time.
pub(crate) struct Cluster {
    pub(crate) broker: Arc<Kafka>,
    pub(crate) node: devkit::kafka::Kafka,
}

impl Cluster {
    pub(crate) fn start(what: &str, protocol: GroupProtocol) -> Option<Self> {
        let session = SESSION.as_millis().to_string();
        let properties = [
            ("group.min.session.timeout.ms", &*session),
            ("group.consumer.min.session.timeout.ms", &session),
            ("group.consumer.session.timeout.ms", &session),
            // A group of one does not wait for others.
            ("group.initial.rebalance.delay.ms", "0"),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let node = own_for_tests(what, &Options { properties, ..Options::default() })?;
        let settings = Settings {
            brokers: node.address(),
            protocol,
            drain: DRAIN,
            session_timeout: SESSION,
            heartbeat: SESSION / 8,
            ..Settings::default()
        };
        let threads = Arc::new(Threads(Builder::new_current_thread().build().unwrap()));
        let broker = Kafka::open(settings, Arc::new(|_| Ok(store::memory())), Arc::new(Wall), threads).unwrap();
        Some(Self { broker, node })
    }
}

impl Fixture for Cluster {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::<Kafka>::clone(&self.broker)
    }

    fn run(&self, check: LocalBoxFuture<'_, ()>) {
        Builder::new_current_thread().enable_time().build().unwrap().block_on(check);
    }

    fn pass(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        Wall.sleep(duration)
    }

    fn drain(&self) -> Duration {
        DRAIN
    }

    fn watch(&self) -> Duration {
        WATCH
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }
}

/// Every suite that a broker passes.
fn passes(what: &str, protocol: GroupProtocol) {
    let Some(cluster) = Cluster::start(what, protocol) else { return };
    conformance::broker(&cluster);
    conformance::sender(&cluster);
    conformance::log(&cluster);
    conformance::ownership(&cluster);
    conformance::commit(&cluster);
}

#[test]
fn kafka_is_a_broker() {
    passes("Kafka as a broker", GroupProtocol::Classic);
}

#[test]
fn kafka_with_groups_of_the_newer_protocol_is_a_broker() {
    passes("Kafka with groups of the newer protocol", GroupProtocol::Consumer);
}
