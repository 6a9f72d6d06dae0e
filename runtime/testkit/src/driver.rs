//! Drives one service over a broker in memory: feed events, run, look at what it emitted and what it keeps.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use tidemill_core::code::Coded;
use tidemill_core::codec::Codec;
use tidemill_core::event::Event;
use tidemill_core::headers;
use tidemill_core::ports::{Broker, Clock, Subscription};
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::state::{Cell, ScopeKey, decode};
use tidemill_core::worker::{Left, Ports, Worker};

use crate::fakes::{Executor, Inline, Recorder, Scripted, Seeded, Shape, VirtualClock, block_on};

/// The source that fed events name.
const SOURCE: &str = "/test";

/// One service on a broker of its own, whose topics have one partition: what is fed keeps its order across keys. Time is
/// virtual, chance is seeded, so a test repeats exactly.
pub struct Driver {
    service: Arc<Service>,
    clock: Arc<VirtualClock>,
    broker: Scripted,
    fed: u64,
}

impl Driver {
    /// Puts a service on a broker of its own. Panics when the declaration contradicts itself.
    pub fn new(service: ServiceBuilder) -> Self {
        let service = service.build().expect("a sound service");
        let clock = VirtualClock::new();
        let broker = Scripted::new(&clock, Shape::Batch);
        for topic in service.input_topics().chain(service.output_topics()) {
            broker.create(topic, 1);
        }
        Self { service: Arc::new(service), clock, broker, fed: 0 }
    }

    /// Publishes an event to its topic, as if it happened now. Panics when the service does not read the topic.
    pub fn feed<E: Event>(&mut self, event: &E) {
        self.fed += 1;
        let (id, time) = (self.fed.to_string(), self.clock.now());
        let mut publisher = Publisher::new(Arc::new(self.broker.clone()), SOURCE);
        let answer = block_on(&self.clock, async {
            publisher.declare::<E>().await?;
            publisher.publish(Publication { event, id: &id, time })?;
            publisher.flush().await
        });
        answer.expect("an event of a topic that the service reads");
    }

    /// Runs the service until it has done and committed everything, or with the error that stopped it. Each run is a new
    /// worker that begins with what is committed, as after a crash.
    pub fn run(&self) -> Result<(), Coded> {
        let mut executor = Executor::new(Arc::clone(&self.clock));
        let worker = executor.spawn(self.worker());
        let done = |executor: &Executor<'_, _>| self.behind() == 0 || !executor.is_running(worker);
        executor.run_until(done).expect("a handler waits for something that never comes");
        executor.result(worker).map_or(Ok(()), |ended| ended.clone().map(drop))
    }

    /// All events of a type in its topic, in order, those that were fed included.
    pub fn events<E: Event>(&self) -> Vec<E> {
        let codec = E::Codec::open().expect("the schema fits the type");
        let records = self.broker.records(E::TOPIC).into_iter().flatten();
        let of_type = records.filter(|record| record.headers.get(headers::TYPE) == Some(E::NAME.as_bytes()));
        of_type.map(|record| codec.decode(&record.value.unwrap_or_default()).expect("an event of its type")).collect()
    }

    /// The committed value of a cell of one key of a handler.
    pub fn get<T: DeserializeOwned>(&self, handler: &str, key: &str, cell: Cell<T>) -> Option<T> {
        let states = self.broker.states(self.service.name(), 0);
        let found = states.iter().find(|(name, _)| {
            let name = ScopeKey::parse(name).expect("a state key");
            (name.handler, name.key, name.name) == (handler, key.as_bytes(), cell.name()) && name.entry.is_none()
        });
        found.map(|(_, value)| decode(value).expect("a value of its type"))
    }

    /// How many entries the service keeps in all.
    pub fn entries(&self) -> usize {
        self.broker.states(self.service.name(), 0).len()
    }

    fn worker(&self) -> impl Future<Output = Result<Left, Coded>> + use<> {
        let (service, broker) = (Arc::clone(&self.service), self.broker.clone());
        let ports = Ports {
            clock: self.clock.clone(),
            random: Rc::new(Seeded::new(1)),
            blocking: Arc::new(Inline),
            observer: Arc::new(Recorder::default()),
            heartbeat: Arc::default(),
        };
        async move {
            let topics = service.input_topics().cloned().collect();
            let member =
                broker.join(Subscription { group: service.name().clone(), member: "driver".into(), topics })?;
            Worker::open(service, member, &broker, ports).await?.run(std::future::pending()).await
        }
    }

    /// How many records are not done and committed.
    fn behind(&self) -> u64 {
        let topics: Vec<Arc<str>> = self.service.input_topics().cloned().collect();
        let lag = self.broker.lag(self.service.name(), &topics).now_or_never().expect("the fake never waits");
        lag.expect("the topics are there").iter().map(|lag| lag.records).sum()
    }
}
