//! Drives one service without a broker: send events, let time pass, crash it, look at what it emitted and what it keeps.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tidemill_core::code::Coded;
use tidemill_core::codec::Codec;
use tidemill_core::event::Event;
use tidemill_core::headers::{self, Headers};
use tidemill_core::internal::{self, Command, Help, Order, Wish};
use tidemill_core::letters::Letter;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::parking::{self, Parked};
use tidemill_core::ports::{Broker, Clock, Entry, Heartbeat, NoObserver};
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::record::Record;
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::state::{Cell, Map, MapKey, ScopeKey, decode, is_own};
use tidemill_core::time::Timestamp;
use tidemill_core::timers::{self, Pending};
use tidemill_core::worker::{Left, Ports};
use tidemill_embedded::{Embedded, Settings};

use crate::fakes::{Executor, VirtualClock, block_on, ports, work};
use crate::reading::{self, at_once};
use crate::replayed::{Failures, Replayed, replay};

/// The source that sent events name.
const SOURCE: &str = "/test";
/// The seed of what is random in a service under test.
const SEED: u64 = 1;
/// The one worker's name.
const MEMBER: &str = "driver";
/// The one shard: topics have one partition.
const SHARD: u32 = 0;

type Ended = Result<Left, Coded>;

/// One service on `memory:`, in a test. Its topics have one partition, so what is sent keeps its order across keys. Time is
/// virtual and chance is seeded: a test repeats exactly.
pub struct TestDriver {
    build: Box<dyn Fn() -> ServiceBuilder>,
    name: Arc<str>,
    inputs: Vec<Arc<str>>,
    clock: Arc<VirtualClock>,
    broker: Arc<Embedded>,
    executor: Executor<'static, Ended>,
    /// The worker that runs, or ran last.
    worker: Option<usize>,
    sent: u64,
    /// How often it was started.
    lives: u64,
    /// Tells what is parked.
    heartbeat: Arc<Heartbeat>,
    /// Whether a replay of it may differ.
    #[cfg(test)]
    may_differ: bool,
}

impl TestDriver {
    /// Starts a service. The function is called again for every restart, as a process would build its service again. Panics
    /// when the declaration contradicts itself.
    pub fn new(service: impl Fn() -> ServiceBuilder + 'static) -> Self {
        let clock = VirtualClock::new();
        let broker = Embedded::memory(&Settings::default(), clock.clone());
        let first = build(&service);
        for topic in first.input_topics().chain(first.output_topics()) {
            at_once(broker.topics().create(topic, 1)).unwrap_or_else(|error| panic!("{error}"));
        }
        Self {
            build: Box::new(service),
            name: Arc::clone(first.name()),
            inputs: first.input_topics().cloned().collect(),
            executor: Executor::new(Arc::clone(&clock)),
            clock,
            broker,
            worker: None,
            sent: 0,
            lives: 0,
            heartbeat: Arc::default(),
            #[cfg(test)]
            may_differ: false,
        }
    }

    /// Sends an event and waits until the service is done with it and all before it; time passes where handlers wait, and where failed
    /// records wait to be tried again. One that becomes a dead letter is done: see [`TestDriver::dead_letters`]. Panics when the
    /// service stops instead, with the reason.
    pub fn send<E: Event>(&mut self, event: E) {
        self.try_send(event).unwrap_or_else(|error| panic!("the service stopped: {error}"));
    }

    /// As [`TestDriver::send`], for a service that may stop: tells why it did. The next event finds it started again.
    #[expect(clippy::needless_pass_by_value, reason = "an event that is sent is gone; a test reads better so")]
    pub fn try_send<E: Event>(&mut self, event: E) -> Result<(), Coded> {
        self.publish(&event);
        self.settle()
    }

    /// Writes an event, and lets the service stand still.
    pub(crate) fn publish<E: Event>(&mut self, event: &E) {
        self.sent += 1;
        let (id, time) = (self.sent.to_string(), self.clock.now());
        let mut publisher = Publisher::new(self.broker.clone(), SOURCE);
        let sent = block_on(&self.clock, async {
            publisher.declare::<E>().await?;
            publisher.publish(Publication { event, id: &id, time })?;
            publisher.flush().await
        });
        sent.unwrap_or_else(|error| panic!("the event cannot be sent: {error}"));
    }

    /// Lets the service run until it has done and committed everything, or with the error that stopped it.
    fn settle(&mut self) -> Result<(), Coded> {
        let worker = self.running();
        let (broker, name, inputs) = (Arc::clone(&self.broker), Arc::clone(&self.name), self.inputs.clone());
        let heartbeat = Arc::clone(&self.heartbeat);
        let done = move |executor: &Executor<'_, Ended>| {
            let lag = at_once(broker.lag(&name, &inputs)).expect("the topics are there");
            let runs = heartbeat.running() > 0;
            let is_behind = lag.iter().any(|lag| lag.records > 0) || !runs || heartbeat.waiting() > 0;
            !executor.is_running(worker) || !is_behind
        };
        self.executor.run_until(done).expect("a handler waits for something that never comes");
        self.executor.result(worker).map_or(Ok(()), |ended| ended.clone().map(drop))
    }

    /// The worker, started if there is none.
    fn running(&mut self) -> usize {
        if let Some(worker) = self.worker.filter(|worker| self.executor.is_running(*worker)) {
            return worker;
        }
        self.heartbeat = Arc::default();
        self.lives += 1;
        let ports = Ports {
            heartbeat: Arc::clone(&self.heartbeat),
            ..ports(&self.clock, SEED + self.lives, Arc::new(NoObserver))
        };
        let service = Arc::new(build(&*self.build));
        let worker = self.executor.spawn(work(service, MEMBER.into(), self.broker.clone(), ports, pending()));
        self.worker = Some(worker);
        worker
    }

    /// Ends the process where it stands and starts the service again. What was committed is there; the rest never was.
    pub fn crash_and_restart(&mut self) {
        self.try_restart().unwrap_or_else(|error| panic!("the service stopped: {error}"));
    }

    /// As [`TestDriver::crash_and_restart`], for a service that may not start again: tells why it did not.
    pub fn try_restart(&mut self) -> Result<(), Coded> {
        if let Some(worker) = self.worker.take() {
            self.executor.crash(worker);
        }
        self.settle()
    }

    /// Stops the service for some time, and starts it again. What was due meanwhile happens then.
    pub fn stop_for(&mut self, time: Duration) {
        if let Some(worker) = self.worker.take() {
            self.executor.crash(worker);
        }
        self.clock.advance(time);
        self.settle().unwrap_or_else(|error| panic!("the service stopped: {error}"));
    }

    /// Lets time pass, and what is due in it happen.
    pub fn advance(&mut self, by: Duration) {
        let until = self.clock.passed() + by;
        self.running();
        self.executor.settle();
        while let Some(alarm) = self.clock.next_alarm().filter(|alarm| self.clock.passed() + *alarm <= until) {
            self.clock.advance(alarm);
            self.executor.settle();
        }
        self.clock.advance(until.saturating_sub(self.clock.passed()));
        self.executor.settle();
    }

    /// Runs everything again that the service did, as its journal tells, and compares what handlers emit and keep with what they did then. A
    /// handler that depends on something else than its event and its context, such as the time of the machine, does something else now:
    /// [`Replayed::differences`] says what. Panics where there is no journal.
    pub fn replay(&self) -> Replayed {
        let ports = ports(&self.clock, SEED, Arc::new(NoObserver));
        let replayed = replay(Arc::new(build(&*self.build)), self.broker.clone(), ports, Failures::Own);
        block_on(&self.clock, replayed).unwrap_or_else(|error| panic!("it cannot be replayed: {error}"))
    }

    /// The time of the service's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// All events of a type that the service emitted, in the order of their topic.
    pub fn emitted<E: Event>(&self) -> Vec<E> {
        let codec = E::Codec::open().unwrap_or_else(|error| panic!("{error}"));
        if at_once(self.broker.topics().describe(E::TOPIC)).ok().flatten().is_none() {
            return Vec::new();
        }
        let records = reading::records(&*self.broker, E::TOPIC).into_iter().flatten();
        let ours = records.filter(|record| {
            let is_type = record.headers.get(headers::TYPE) == Some(E::NAME.as_bytes());
            is_type && record.headers.get(headers::SOURCE) != Some(SOURCE.as_bytes())
        });
        ours.map(|record| codec.decode(&record.value.unwrap_or_default()).expect("an event of its type")).collect()
    }

    /// All dead letters of the service, in the order in which they were written. A letter that failed again is there once for each
    /// round.
    pub fn dead_letters(&self) -> Vec<Letter> {
        let records = reading::records(&*self.broker, &internal::dead_letters(&self.name)).into_iter().flatten();
        records.map(|record| Letter::read(&record).expect("a service writes nothing else there")).collect()
    }

    /// What is parked, in the order in which it was. What will be tried again by itself is so before [`TestDriver::send`] returns, so
    /// what is seen here waits for an operator, or behind such a record.
    pub fn parked(&self) -> Vec<Parked> {
        let entries = reading::state(&*self.broker, &self.name, SHARD);
        let mut found: Vec<_> = entries.iter().filter_map(parking::parked).collect();
        found.sort_by_key(|(_, number, _)| *number);
        found.into_iter().map(|(.., parked)| parked).collect()
    }

    /// Has a person help the instance of a key of a saga, one of which something could not be undone, and waits as [`TestDriver::send`]
    /// does. Where it needs nobody, nothing happens.
    pub fn help(&mut self, saga: &str, key: &str, help: Help) {
        self.sent += 1;
        let (id, reason) = (self.sent.to_string(), "a test".to_owned());
        let order = Order { id, by: MEMBER.to_owned(), reason, at: self.clock.now().as_millis() };
        let internal = internal::internal(&self.name);
        let target = Parked::of_key(saga, &internal, SHARD, key.as_bytes());
        let (value, headers) = Command { order, wish: Wish::Saga(help), target }.to_record();
        self.put(&internal, Some(key.as_bytes()), &headers, &value);
    }

    /// Sends an event as the reply to the newest command of type `C` that the service emitted with
    /// [`Context::request`](tidemill_core::context::Context::request), and waits as [`TestDriver::send`] does. Panics where there is none.
    #[expect(clippy::needless_pass_by_value, reason = "as for send")]
    pub fn reply<C: Event, E: Event>(&mut self, event: E) {
        self.sent += 1;
        let is_command = |record: &Record| record.headers.get(headers::TYPE) == Some(C::NAME.as_bytes());
        let commands = reading::records(&*self.broker, C::TOPIC).into_iter().flatten();
        let command = commands.filter(is_command).last().unwrap_or_else(|| panic!("there is no {}", C::NAME));
        let wanted = [headers::REPLY_TO, headers::REPLY_KEY, headers::ID];
        let [Some(to), key, Some(command)] = command.headers.get_all(wanted) else {
            panic!("nobody wants a reply to the newest {}", C::NAME)
        };
        let mut value = Vec::new();
        let written = E::Codec::open().map(|codec| codec.encode(&event, &mut value));
        written.unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|error| panic!("{error}"));
        let id = self.sent.to_string();
        let headers = [
            (headers::TYPE, E::NAME.as_bytes()),
            (headers::SOURCE, SOURCE.as_bytes()),
            (headers::ID, id.as_bytes()),
            (headers::REPLY_TO, to),
            (headers::IN_REPLY_TO, command),
        ];
        let headers = Headers::from_pairs(headers.map(|(name, value)| (name, Some(value))));
        self.put(E::TOPIC, key, &headers, &value);
    }

    /// Sends a record that has no headers, as programs write them that are not ours, and waits as [`TestDriver::send`] does.
    pub fn send_raw(&mut self, topic: &str, key: Option<&str>, value: &[u8]) {
        self.put(topic, key.map(str::as_bytes), &Headers::default(), value);
    }

    /// Writes a record as it is, and lets the service do it.
    fn put(&mut self, topic: &str, key: Option<&[u8]>, headers: &Headers, value: &[u8]) {
        let mut outputs = Outputs::new([Arc::from(topic)].as_slice().into());
        let address = Address { topic: 0, partition: SHARD, timestamp: self.clock.now() };
        outputs.push_raw(address, key, headers, Some(value));
        block_on(&self.clock, self.broker.publish(outputs)).unwrap_or_else(|error| panic!("it is not taken: {error}"));
        self.settle().unwrap_or_else(|error| panic!("the service stopped: {error}"));
    }

    /// The timers that wait, in the order in which they are due.
    pub fn timers(&self) -> Vec<Pending> {
        let entries = reading::state(&*self.broker, &self.name, SHARD);
        let pending = entries.iter().filter_map(timers::pending);
        pending.map(|pending| pending.expect("written by the same build")).collect()
    }

    /// What a handler keeps for a key.
    pub fn state(&self, handler: &str, key: &str) -> KeyState {
        let mut entries = reading::state(&*self.broker, &self.name, SHARD);
        entries.retain(|(name, _)| {
            let place = ScopeKey::parse(name).expect("a state key");
            (place.handler, place.key) == (handler, key.as_bytes())
        });
        KeyState(entries)
    }

    /// How many cells and map entries the service keeps in all.
    pub fn entries(&self) -> usize {
        let all = reading::state(&*self.broker, &self.name, SHARD);
        all.iter().filter(|(key, _)| ScopeKey::parse(key).is_some_and(|place| !is_own(place.handler))).count()
    }
}

/// Whatever a test does, a replay does it again.
#[cfg(test)]
impl Drop for TestDriver {
    fn drop(&mut self) {
        if !self.may_differ && !std::thread::panicking() {
            let differences = self.replay().differences;
            assert!(differences.is_empty(), "in a replay, {differences:#?}");
        }
    }
}

#[cfg(test)]
impl TestDriver {
    /// A replay of it may differ: what it does depends on more than its events.
    pub(crate) fn may_differ(&mut self) {
        self.may_differ = true;
    }
}

fn build(service: &dyn Fn() -> ServiceBuilder) -> Service {
    service().build().unwrap_or_else(|error| panic!("the service cannot be built: {error}"))
}

/// The committed state of one key of a handler.
pub struct KeyState(Vec<Entry>);

impl KeyState {
    /// The value of a cell, if it is set. Panics when it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, cell: Cell<T>) -> Option<T> {
        let found = self.named(cell.name()).find(|(entry, _)| entry.is_none());
        found.map(|(_, value)| decode(value).expect("a value of its type"))
    }

    /// The entries of a map, in order. Panics when they are not `K` to `V`.
    pub fn map<K: MapKey, V: DeserializeOwned>(&self, map: Map<K, V>) -> Vec<(K, V)> {
        let entries = self.named(map.name()).filter_map(|(entry, value)| Some((entry?, value)));
        let read = |(entry, value): (&[u8], &[u8])| {
            (K::decode(entry).expect("a key of its type"), decode(value).expect("a value of its type"))
        };
        entries.map(read).collect()
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (Option<&'a [u8]>, &'a [u8])> {
        self.0.iter().filter_map(move |(key, value)| {
            let place = ScopeKey::parse(key).expect("a state key");
            (place.name == name).then_some((place.entry, &value[..]))
        })
    }
}
