//! A service whose records say what their handling does, on a scripted broker, and what must hold of it at any moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use tidemill_core::code::Coded;
use tidemill_core::codec::Json;
use tidemill_core::event::Event;
use tidemill_core::failure::Policies;
use tidemill_core::headers::{self, Headers};
use tidemill_core::internal::{self, Became, Command, Operation, Order, Wish};
use tidemill_core::letters::Letter;
use tidemill_core::limits::Limits;
use tidemill_core::parking::{self, Parked};
use tidemill_core::ports::{Broker, Clock, Schemas};
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::service::{HandlerBuilder, Service, ServiceBuilder};
use tidemill_core::state::{Cell, ScopeKey, decode};
use tidemill_core::timers;
use tidemill_core::worker::{Left, Ports};

use super::work::{COUNT, HISTORY, Note, Other, Outcome, Ring, Task, Work};
use crate::fakes::{Executor, Recorder, Scripted, Shape, Switch, VirtualClock, block_on, ports, work};
use crate::replayed::{Failures, replay};

/// The service's name, and its group's.
pub(crate) const GROUP: &str = "work";
pub(crate) const IN: &str = "tasks";
pub(crate) const OUT: &str = "results";

/// What a worker's task ends with.
pub(crate) type Ended = Result<Left, Coded>;

/// A service on a scripted broker.
pub(crate) struct Stage {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) broker: Scripted,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) switch: Switch,
    /// Whether the bank is away that some tasks need.
    pub(crate) away: Arc<AtomicBool>,
    /// The registry of its workers.
    pub(crate) schemas: Option<Arc<dyn Schemas>>,
    notes: Arc<Mutex<Vec<Note>>>,
    /// How many workers there were; each has a chance of its own.
    workers: AtomicU64,
    pub(crate) service: Arc<Service>,
    /// The tasks that were fed, by partition and offset.
    fed: Mutex<BTreeMap<(TopicPartition, u64), (String, u64)>>,
}

/// Bounds small enough for a small workload to meet, and no commits but those of what is done.
pub(crate) fn limits() -> Limits {
    Limits { handler_timeout: Duration::from_secs(10), crash_guard: false, ..Limits::default() }
}

pub(crate) fn partition(number: u32) -> TopicPartition {
    TopicPartition::new(IN, number)
}

impl Stage {
    pub(crate) fn new(shape: Shape, partitions: u32) -> Self {
        Self::with(shape, partitions, limits(), |handler| handler)
    }

    pub(crate) fn with(
        shape: Shape,
        partitions: u32,
        limits: Limits,
        declare: impl FnOnce(HandlerBuilder<Work>) -> HandlerBuilder<Work>,
    ) -> Self {
        Self::build(shape, partitions, |builder, work| {
            builder.limits(limits).handler("worker", work, |handler| declare(handler.on::<Task>().on_timer::<Ring>()))
        })
    }

    pub(crate) fn build(
        shape: Shape,
        partitions: u32,
        declare: impl FnOnce(ServiceBuilder, Work) -> ServiceBuilder,
    ) -> Self {
        let clock = VirtualClock::new();
        let broker = Scripted::new(&clock, shape);
        let notes: Arc<Mutex<Vec<Note>>> = Arc::default();
        let away: Arc<AtomicBool> = Arc::default();
        let work = Work { clock: Arc::clone(&clock), notes: Arc::clone(&notes), away: Arc::clone(&away) };
        let service =
            declare(Service::builder(GROUP).failures(Policies::stopping()).limits(limits()).emits::<Outcome>(), work)
                .build()
                .expect("a sound service");
        for topic in service.input_topics().chain(service.output_topics()) {
            broker.create(topic, partitions);
        }
        let (recorder, switch) = (Arc::default(), Switch::default());
        let fed = Mutex::default();
        Self {
            clock,
            broker,
            recorder,
            switch,
            away,
            schemas: None,
            workers: AtomicU64::new(0),
            notes,
            service: Arc::new(service),
            fed,
        }
    }

    /// Partitions move by the test's hand only.
    pub(crate) fn by_hand(mut self) -> Self {
        self.broker = self.broker.by_hand();
        self
    }

    /// Appends a task and tells its offset.
    pub(crate) fn feed(&self, partition: &TopicPartition, key: &str, task: Task) -> u64 {
        let event = if *partition.topic == *IN { Task::NAME } else { Other::NAME };
        let value = encoded(&task);
        let offset = self.feed_raw(partition, Some(key), Some(event), value);
        self.fed.lock().expect("no test panics here").insert((partition.clone(), offset), (key.to_owned(), task.n));
        offset
    }

    /// Appends a record as it is.
    pub(crate) fn feed_raw(
        &self,
        partition: &TopicPartition,
        key: Option<&str>,
        event: Option<&str>,
        value: Vec<u8>,
    ) -> u64 {
        let headers = event.map(|event| (headers::TYPE, Some(event.as_bytes())));
        let record = Record {
            offset: 0,
            timestamp: self.clock.now(),
            key: key.map(|key| key.to_owned().into()),
            value: Some(value.into()),
            headers: Headers::from_pairs(headers),
        };
        self.broker.append(partition, record)
    }

    /// A worker that joins and runs, to be spawned.
    pub(crate) fn worker(&self, member: &str) -> impl Future<Output = Ended> + use<> {
        let seed = 1 + self.workers.fetch_add(1, Ordering::SeqCst);
        let ports = Ports { schemas: self.schemas.clone(), ..ports(&self.clock, seed, self.recorder.clone()) };
        let broker = Arc::new(self.broker.clone());
        work(Arc::clone(&self.service), member.into(), broker, ports, self.switch.clone().stopped())
    }

    pub(crate) fn executor(&self) -> Executor<'static, Ended> {
        Executor::new(Arc::clone(&self.clock))
    }

    /// An executor with one worker.
    pub(crate) fn run(&self) -> (Executor<'static, Ended>, usize) {
        let mut executor = self.executor();
        let worker = executor.spawn(self.worker("a"));
        (executor, worker)
    }

    /// How many records are not done and committed.
    pub(crate) fn behind(&self) -> u64 {
        let topics: Vec<Arc<str>> = self.service.input_topics().cloned().collect();
        let lag = self.broker.lag(GROUP, &topics).now_or_never().expect("the fake never waits");
        let records: u64 = lag.expect("the topics are there").iter().map(|lag| lag.records).sum();
        records + self.timers().len() as u64
    }

    /// The timers that wait, as they are durable, in the order in which they are due.
    pub(crate) fn timers(&self) -> Vec<timers::Pending> {
        let shards = self.broker.shards(GROUP).now_or_never().expect("the fake never waits").expect("it is there");
        let entries = (0..shards).flat_map(|shard| self.broker.states(GROUP, shard));
        let found = entries.filter_map(|entry| timers::pending(&entry)).collect::<Result<Vec<_>, _>>();
        let mut found = found.expect("written by the same build");
        found.sort_by_key(|pending| pending.due);
        found
    }

    /// Runs until everything is done, then stops the workers.
    pub(crate) fn finish(&self, executor: &mut Executor<'static, Ended>, worker: usize) {
        executor.run_until(|executor| self.behind() == 0 || !executor.is_running(worker)).expect("nothing stalls");
        assert_eq!(self.behind(), 0, "{:?}", executor.result(worker));
        self.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
        assert_eq!(executor.result(worker), Some(&Ok(Left::default())));
        self.audit();
    }

    /// Runs everything again that was done, and finds that nothing is otherwise.
    pub(crate) fn replay(&self) {
        let (service, broker) = (Arc::clone(&self.service), Arc::new(self.broker.clone()));
        let ports = ports(&self.clock, 0, self.recorder.clone());
        let replayed =
            block_on(&self.clock, replay(service, broker, ports, Failures::Injected)).expect("it can be replayed");
        assert_eq!(replayed.differences, Vec::<String>::new());
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Vec<Note>> {
        self.notes.lock().expect("no test panics here")
    }

    /// The numbers of the tasks whose attempts began, in order.
    pub(crate) fn begun(&self) -> Vec<u64> {
        let begun = |note: &Note| if let Note::Begun { n, .. } = note { Some(*n) } else { None };
        self.notes().iter().filter_map(begun).collect()
    }

    /// The durable value of a cell.
    pub(crate) fn cell<T: serde::de::DeserializeOwned>(&self, key: &str, cell: Cell<T>) -> Option<T> {
        let shards = 0..u32::try_from(self.broker.records(IN).len()).expect("few partitions");
        let mut states = shards.flat_map(|shard| self.broker.states(GROUP, shard));
        let found = states.find(|(name, _)| {
            let name = ScopeKey::parse(name).expect("a state key");
            name.key == key.as_bytes() && name.name == cell.name() && name.entry.is_none()
        });
        found.map(|(_, value)| decode(&value).expect("written by the same build"))
    }

    /// What was emitted for each key, in order, with its id.
    pub(crate) fn results(&self) -> BTreeMap<String, Vec<(String, Outcome)>> {
        let mut results = BTreeMap::<String, Vec<_>>::new();
        for record in self.broker.records(OUT).into_iter().flatten() {
            let outcome = decoded(record.value.as_deref().expect("an event"));
            let id = record.headers.text(headers::ID).expect("our own event").to_owned();
            results.entry(outcome.key.clone()).or_default().push((id, outcome));
        }
        results
    }

    /// Whatever happened so far: of each key, what is done is what its state says, in order, and what was emitted.
    pub(crate) fn audit(&self) {
        let mut done = BTreeMap::<String, Vec<u64>>::new();
        let fed = self.fed.lock().expect("no test panics here");
        for ((partition, offset), (key, n)) in &*fed {
            let progress = self.broker.progress(GROUP, partition);
            if progress.is_some_and(|progress| progress.is_done(*offset)) {
                done.entry(key.clone()).or_default().push(*n);
            }
        }
        // Two topics have no order between them.
        let topic_of = |key: &str, number: u64| {
            let place = fed.iter().find(|(_, (known, n))| known == key && *n == number);
            place.map(|((partition, _), _)| partition.clone())
        };
        let results = self.results();
        for (key, done) in &done {
            let mut history = self.cell(key, HISTORY).unwrap_or_default();
            history.sort_by_key(|n| topic_of(key, *n));
            assert_eq!(&history, done, "the history of {key} against what is done");
            assert_eq!(self.cell(key, COUNT), Some(done.len() as u64), "the count of {key}");
        }
        for (key, results) in results {
            let mut numbers: Vec<u64> = results.iter().map(|(_, outcome)| outcome.n).collect();
            numbers.dedup();
            let done = done.get(&key).cloned().unwrap_or_default();
            numbers.sort_by_key(|n| topic_of(&key, *n));
            assert!(numbers.iter().all(|n| done.contains(n)), "{key} emitted for {numbers:?}, done is {done:?}");
            let emitting = done.iter().filter(|n| numbers.contains(n));
            assert!(numbers.iter().eq(emitting), "{key} emitted for {numbers:?}, done is {done:?}");
        }
    }
}

/// JSON, as the events' codec writes it.
pub(crate) fn encoded<T: Event<Codec = Json> + Serialize + serde::de::DeserializeOwned>(event: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    tidemill_core::codec::Codec::encode(&Json, event, &mut bytes).expect("a plain struct");
    bytes
}

fn decoded(value: &[u8]) -> Outcome {
    tidemill_core::codec::Codec::decode(&Json, &value.to_vec().into()).expect("written by the service")
}

/// The dead letters of the service, in the order of their writing.
pub(crate) fn letters(stage: &Stage) -> Vec<Letter> {
    let records = stage.broker.records(&internal::dead_letters(GROUP)).into_iter().flatten();
    records.map(|record| Letter::read(&record).expect("a dead letter")).collect()
}

/// The parked records of the service, in the order in which they were parked.
pub(crate) fn parked(stage: &Stage) -> Vec<Parked> {
    let shards = 0..u32::try_from(stage.broker.records(IN).len()).expect("few partitions");
    let entries: Vec<_> = shards.flat_map(|shard| stage.broker.states(GROUP, shard)).collect();
    let mut parked: Vec<_> = entries.iter().filter_map(parking::parked).collect();
    parked.sort_by_key(|(_, number, _)| *number);
    parked.into_iter().map(|(.., parked)| parked).collect()
}

/// What operators did, in the order in which it was done.
pub(crate) fn operations(stage: &Stage) -> Vec<(String, Became)> {
    let records = stage.broker.records(&internal::operations(GROUP)).into_iter().flatten();
    let read = |record| Operation::read(&record).expect("an operation");
    records.map(read).map(|operation| (operation.act, operation.became)).collect()
}

/// Has an operator want something of a shard.
pub(crate) fn command(stage: &Stage, shard: u32, id: &str, wish: Wish, target: Parked) {
    let order = Order { id: id.into(), by: "me".into(), reason: "a test".into(), at: 0 };
    let key = target.record().key;
    let (value, headers) = Command { order, wish, target }.to_record();
    let record = Record { offset: 0, timestamp: stage.clock.now(), key, value: Some(value.into()), headers };
    stage.broker.append(&TopicPartition::new(internal::internal(GROUP), shard), record);
}
