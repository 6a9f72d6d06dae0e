//! What all units of a worker share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::code::{Code, Coded};
use crate::codec::CodecError;
use crate::failure::Dependencies;
use crate::outputs::Outputs;
use crate::ports::{Blocking, Clock, Committing, Heartbeat, Observer, Random, Schemas, Topics};
use crate::record::Position;
use crate::service::Service;
use crate::state::{Unreadable, cell_suffix, encode_into};
use crate::time::Timestamp;

/// The most output buffers that are kept for the next units; more units than that are rarely under way.
const SPARE_OUTPUTS: usize = 64;

/// The ports that a worker needs beside its membership.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Rc<dyn Random>,
    /// Threads for work that blocks.
    pub blocking: Arc<dyn Blocking>,
    /// The registry of schemas, if there is one.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// Who looks on.
    pub observer: Arc<dyn Observer>,
    /// What a watchdog reads.
    pub heartbeat: Arc<Heartbeat>,
}

/// What a unit has to know of a topic that it writes to.
pub(crate) struct OutputTopic {
    pub(crate) partitions: u32,
    /// The bytes of the largest record that it takes, where that is known.
    pub(crate) largest: usize,
}

/// Why a record has failed before it begins.
#[derive(Debug, Clone)]
pub(crate) enum Condemned {
    /// Its effects were refused.
    Refused(Coded),
    /// Its dead letter was refused too.
    Letter(Coded),
    /// The process ended again and again while it was handled.
    Crashed,
}

/// What all units of a worker share.
pub(crate) struct Env {
    pub(crate) service: Arc<Service>,
    pub(crate) commits: Committing,
    pub(crate) topics: Arc<dyn Topics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Rc<dyn Random>,
    pub(crate) blocking: Arc<dyn Blocking>,
    pub(crate) schemas: Option<Arc<dyn Schemas>>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) heartbeat: Arc<Heartbeat>,
    /// What handlers need from outside, and whether it is there.
    pub(crate) dependencies: Dependencies,
    /// Records whose effects were refused, or whose handling ended the process: they have failed before they begin.
    pub(crate) condemned: RefCell<BTreeMap<Position, Condemned>>,
    /// Told apart from the run of any other worker.
    pub(crate) run: String,
    /// The output topics, by their places.
    pub(crate) output_topics: Vec<OutputTopic>,
    /// How many partitions each input topic has.
    pub(crate) shards: u32,
    /// The own ids of the input topics.
    topic_ids: BTreeMap<Arc<str>, Arc<str>>,
    /// The time that all units of the commit being gathered see; `None` until one asks.
    time: Cell<Option<Timestamp>>,
    /// The last point in time that was asked for in RFC 3339, and its text.
    time_text: RefCell<Option<(Timestamp, Rc<str>)>>,
    spare_outputs: RefCell<Vec<Outputs>>,
    /// The cells that were used, each with the part of a state key that names it: shared by all keys.
    cells: RefCell<Vec<(&'static str, Bytes)>>,
    /// Where values are encoded, before their length is known.
    scratch: RefCell<Vec<u8>>,
}

impl Env {
    /// Looks the topics up: each has to exist, and the inputs have to have as many partitions as each other.
    pub(crate) async fn open(
        service: Arc<Service>,
        commits: Committing,
        topics: Arc<dyn Topics>,
        ports: Ports,
    ) -> Result<Self, Coded> {
        let mut topic_ids = BTreeMap::new();
        let mut first: Option<(Arc<str>, u32)> = None;
        for topic in service.input_topics() {
            let info = describe(&*topics, topic, &service.name).await?;
            let (other, partitions) = first.get_or_insert_with(|| (Arc::clone(topic), info.partitions));
            if *partitions != info.partitions {
                let message = format!(
                    "service {} reads {other} with {partitions} partitions and {topic} with {}; they must be equal",
                    service.name, info.partitions
                );
                return Err(Coded::new(Code::NOT_CO_PARTITIONED, message));
            }
            topic_ids.insert(Arc::clone(topic), info.id);
        }
        let mut output_topics = Vec::new();
        let largest = topics.largest(&service.output_topics).await?;
        for (topic, largest) in service.output_topics().zip(largest) {
            let partitions = describe(&*topics, topic, &service.name).await?.partitions;
            output_topics.push(OutputTopic { partitions, largest: largest.unwrap_or(usize::MAX) });
        }
        Ok(Self {
            dependencies: Dependencies::new(Arc::clone(&service.dependencies)),
            condemned: RefCell::default(),
            run: format!("{:016x}", ports.random.next()),
            service,
            commits,
            topics,
            clock: ports.clock,
            random: ports.random,
            blocking: ports.blocking,
            schemas: ports.schemas,
            observer: ports.observer,
            heartbeat: ports.heartbeat,
            output_topics,
            shards: first.map_or(0, |(_, partitions)| partitions),
            topic_ids,
            time: Cell::new(None),
            time_text: RefCell::new(None),
            spare_outputs: RefCell::default(),
            cells: RefCell::default(),
            scratch: RefCell::default(),
        })
    }

    /// The own id of an input topic.
    pub(crate) fn topic_id(&self, topic: &Arc<str>) -> &str {
        self.topic_ids.get(topic).map_or("", |id| id)
    }

    /// The time that units see.
    pub(crate) fn time(&self) -> Timestamp {
        self.time.get().unwrap_or_else(|| {
            let now = self.clock.now();
            self.time.set(Some(now));
            now
        })
    }

    /// A unit's time in RFC 3339. Most units that ask have the same.
    pub(crate) fn time_text(&self, at: Timestamp) -> Rc<str> {
        let mut last = self.time_text.borrow_mut();
        let known = last.take().filter(|(known, _)| *known == at);
        let (_, text) = last.insert(known.unwrap_or_else(|| (at, at.to_string().into())));
        Rc::clone(text)
    }

    /// The next units see this time: that of a run before.
    pub(crate) fn see_time(&self, at: Timestamp) {
        self.time.set(Some(at));
    }

    /// The next unit that asks for the time sees a new one.
    pub(crate) fn renew_time(&self) {
        self.time.set(None);
    }

    /// An empty buffer for outputs.
    pub(crate) fn outputs(&self) -> Outputs {
        let spare = self.spare_outputs.borrow_mut().pop();
        spare.unwrap_or_else(|| Outputs::new(Arc::clone(&self.service.output_topics)))
    }

    /// Takes an emptied buffer back.
    pub(crate) fn recycle(&self, outputs: Outputs) {
        let mut spare = self.spare_outputs.borrow_mut();
        if spare.len() < SPARE_OUTPUTS {
            spare.push(outputs);
        }
    }

    /// Whether an output topic takes a record of so many bytes.
    pub(crate) fn fits(&self, topic: u16, size: usize) -> Result<(), CodecError> {
        let largest = self.output_topics[usize::from(topic)].largest;
        if size <= largest {
            return Ok(());
        }
        Err(CodecError(format!("it has {size} bytes, and its topic takes {largest}")))
    }

    /// A state value in its stored form.
    pub(crate) fn encoded<T: Serialize>(&self, value: &T) -> Result<Bytes, Unreadable> {
        let mut scratch = self.scratch.take();
        scratch.clear();
        let encoded = encode_into(&mut scratch, value).map(|()| Bytes::copy_from_slice(&scratch));
        self.scratch.replace(scratch);
        encoded
    }

    /// The part of a state key that names a cell. A service has few cells, so looking for one is quick.
    pub(crate) fn cell(&self, name: &'static str) -> Bytes {
        let mut cells = self.cells.borrow_mut();
        if let Some((_, suffix)) = cells.iter().find(|(known, _)| std::ptr::eq(*known, name)) {
            return suffix.clone();
        }
        let suffix = Bytes::from(cell_suffix(name));
        cells.push((name, suffix.clone()));
        suffix
    }
}

async fn describe(topics: &dyn Topics, topic: &str, service: &str) -> Result<crate::ports::TopicInfo, Coded> {
    topics.describe(topic).await?.ok_or_else(|| {
        let message = format!("topic {topic}, which service {service} needs, does not exist");
        Coded::new(Code::TOPIC_MISSING, message)
    })
}
