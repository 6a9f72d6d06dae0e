//! The client without the runtime: the loop that a good engineer writes by hand when all that counts is speed. Only the benchmark
//! uses it, to tell what the runtime costs.
//!
//! One thread reads in batches, hands each record to a closure, writes what comes back, and commits offsets and outputs in one
//! transaction every so often. Clients and settings are those of the runtime, which were tuned on this loop. It keeps no state,
//! knows no order of keys, starts at the beginning, and survives nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};
use tidemill_core::code::Coded;
use tidemill_core::headers::Headers;
use tidemill_core::record::TopicPartition;

use crate::client::{Clients, Plain, Producer};
use crate::failure::Failure;
use crate::native::{self, Message, Outgoing, Queue, Signal, Target};
use crate::reader::{list_of, number};
use crate::settings::Settings;

/// How long a look for records waits where there are none.
const PAUSE: Duration = Duration::from_millis(1);
/// How long any one call to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn failed(failure: impl Into<Failure>) -> Coded {
    failure.into().coded("the bare loop")
}

/// Where a loop reads and writes, and how it commits.
#[derive(Debug, Clone)]
pub struct Route {
    /// The topic that is read.
    pub from: String,
    /// The topic that is written.
    pub to: String,
    /// How many partitions both have. Each record goes to the partition that it came from.
    pub partitions: u32,
    /// The group whose offsets are committed.
    pub group: String,
    /// The longest time between two commits. Where there is nothing more to read, it commits at once.
    pub commit_every: Duration,
}

/// A record that is written.
pub struct Written<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: &'a [u8],
    /// Its headers.
    pub headers: &'a Headers,
}

/// What a loop does with each record.
pub trait Work {
    /// Makes a record out of a key and a value.
    fn on<'a>(&'a mut self, key: Option<&'a [u8]>, value: &'a [u8]) -> Written<'a>;
}

/// Reads partitions of a topic from their beginnings, committed records only.
struct Input {
    client: Arc<Plain>,
    queues: Vec<Queue<crate::context::Quiet>>,
}

impl Input {
    fn open(clients: &Clients, group: &str, topic: &str, partitions: u32, begin: Offset) -> Result<Self, Coded> {
        let client = Arc::new(clients.reader(group, partitions as usize)?);
        let signal = Arc::<Signal>::default();
        let mut queues = Vec::new();
        for partition in 0..partitions {
            let place = TopicPartition::new(topic, partition);
            queues.push(Queue::open(&client, topic, number(&place), &signal));
            client.incremental_assign(&list_of(&place, begin)).map_err(failed)?;
        }
        Ok(Self { client, queues })
    }

    /// Takes what is there, by partition; waits a moment where there is nothing.
    fn take(&self, mut each: impl FnMut(u32, Message) -> Result<(), Coded>) -> Result<bool, Coded> {
        let (mut any, mut taken) = (false, Vec::new());
        for (partition, queue) in (0..).zip(&self.queues) {
            queue.take(Duration::ZERO, &mut taken);
            for message in taken.drain(..) {
                match message.error() {
                    None => {
                        any = true;
                        each(partition, message)?;
                    }
                    Some(RDKafkaErrorCode::PartitionEOF) => {}
                    Some(code) if Failure::new(code, "").is_absence() => {}
                    Some(code) => return Err(failed(Failure::new(code, "the broker says"))),
                }
            }
        }
        if !any {
            std::thread::park_timeout(PAUSE);
        }
        Ok(any)
    }
}

/// Works through so many records, and tells how long it took from the first record to the last commit. Blocks.
pub fn run(
    settings: Settings,
    route: &Route,
    records: u64,
    work: &mut dyn Work,
    now: fn() -> Instant,
) -> Result<Duration, Coded> {
    let clients = Clients::new(settings)?;
    let input = Input::open(&clients, &route.group, &route.from, route.partitions, Offset::Beginning)?;
    let producer = clients.producer(&format!("{}.raw", route.group))?;
    producer.init_transactions(PATIENCE).map_err(failed)?;
    let target = Target::new(&route.to);
    let mut next = vec![None; route.partitions as usize];
    let (mut left, mut open, mut begun, mut committed) = (records, false, None, now());
    while left > 0 {
        let any = input.take(|partition, message| {
            begun.get_or_insert_with(now);
            if !open {
                producer.begin_transaction().map_err(failed)?;
                open = true;
            }
            let written = work.on(message.key(), message.value().unwrap_or_default());
            let record = Outgoing {
                target: &target,
                partition,
                timestamp: message.timestamp(),
                key: written.key,
                value: Some(written.value),
                headers: written.headers.as_bytes(),
            };
            native::produce(producer.client(), &record).map_err(failed)?;
            next[partition as usize] = Some(message.offset() + 1);
            left = left.saturating_sub(1);
            Ok(())
        })?;
        if open && (!any || left == 0 || now().duration_since(committed) >= route.commit_every) {
            commit(&input, &producer, route, &mut next)?;
            (open, committed) = (false, now());
        }
    }
    Ok(begun.map_or(Duration::ZERO, |begun| now().duration_since(begun)))
}

fn commit(input: &Input, producer: &Producer, route: &Route, next: &mut [Option<u64>]) -> Result<(), Coded> {
    let mut offsets = TopicPartitionList::new();
    for (partition, next) in (0..).zip(next) {
        let Some(next) = next.take() else { continue };
        let added = offsets.add_partition_offset(&route.from, partition, crate::reader::offset(next));
        added.map_err(failed)?;
    }
    let metadata = input.client.group_metadata().expect("a client with a group's name has it");
    producer.send_offsets_to_transaction(&offsets, &metadata, PATIENCE).map_err(failed)?;
    native::commit(producer.client(), PATIENCE).map_err(failed)
}

/// Writes single records, each visible at once.
pub struct Source {
    producer: Producer,
    target: Target,
}

impl Source {
    /// Opens a producer for a topic.
    pub fn open(settings: Settings, topic: &str) -> Result<Self, Coded> {
        Ok(Self { producer: Clients::new(settings)?.plain_producer()?, target: Target::new(topic) })
    }

    /// Hands a record over, which is sent at once.
    pub fn send(&self, partition: u32, timestamp: i64, key: &[u8], value: &[u8]) -> Result<(), Coded> {
        let (key, value) = (Some(key), Some(value));
        let record = Outgoing { target: &self.target, partition, timestamp, key, value, headers: &[] };
        self.producer.poll(Duration::ZERO);
        native::produce(self.producer.client(), &record).map_err(failed)
    }
}

/// Reads what becomes visible in a topic from now on.
pub struct Probe(Input);

impl Probe {
    /// Opens a reader of committed records.
    pub fn open(settings: Settings, topic: &str, partitions: u32) -> Result<Self, Coded> {
        let clients = Clients::new(settings)?;
        Ok(Self(Input::open(&clients, "tidemill.probe", topic, partitions, Offset::Beginning)?))
    }

    /// Calls `each` with the values that came; waits up to a millisecond where there are none.
    pub fn take(&self, mut each: impl FnMut(&[u8])) -> Result<(), Coded> {
        let taken = self.0.take(|_, message| {
            each(message.value().unwrap_or_default());
            Ok(())
        });
        taken.map(drop)
    }
}

/// The headers of the first record of a topic, which has one.
pub fn first_headers(settings: Settings, topic: &str, partitions: u32) -> Result<Headers, Coded> {
    let input = Input::open(&Clients::new(settings)?, "tidemill.probe", topic, partitions, Offset::Beginning)?;
    let mut found = None;
    while found.is_none() {
        input.take(|_, message| {
            let mut block = Vec::new();
            message.write_headers(&mut block);
            found.get_or_insert(Headers::from_bytes(block.into()));
            Ok(())
        })?;
    }
    Ok(found.unwrap_or_default())
}

/// Deletes topics; those that do not exist are deleted already.
pub async fn delete_topics(settings: Settings, topics: &[&str]) -> Result<(), Coded> {
    use rdkafka::admin::AdminOptions;
    let admin = Clients::new(settings)?.admin().map_err(|failure| failure.coded("topics cannot be deleted"))?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for answer in admin.delete_topics(topics, &options).await.map_err(failed)? {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
            Err((_, code)) => return Err(failed(Failure::new(code, "the broker says"))),
        }
    }
    Ok(())
}
