//! What a run left behind: the ledger, the topics, the state.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use tidemill_core::headers;
use tidemill_core::ports::{Broker, Entry as StateEntry, KeyRange, LogEvent, Start, Subscription};
use tidemill_core::record::Record;

use super::Setup;
use super::chaos::Chaos;
use super::ledger::Entry;

/// Who reads the topics when all is over.
const AUDITOR: &str = "the-auditor";

/// A record as it stands in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the partition.
    pub offset: u64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// The event's id, if its headers name one.
    pub id: Option<String>,
    /// Who emitted it, if its headers say so.
    pub source: Option<String>,
    /// The id of the event that caused it, if its headers name one.
    pub cause: Option<String>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// A service of a run, as the checkers have to know it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name, and its group's.
    pub name: Arc<str>,
    /// The topics it reads.
    pub inputs: Vec<Arc<str>>,
    /// The most attempts that may be under way at once beside one for each shard.
    pub in_flight: usize,
    /// The most records of one partition that may be taken and not done.
    pub undone: usize,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    /// Everything that happened, each with the virtual time that had passed.
    pub ledger: Vec<(Duration, Entry)>,
    /// The services.
    pub services: Vec<Known>,
    /// All records of each topic, by partition.
    pub topics: BTreeMap<Arc<str>, Vec<Vec<Stored>>>,
    /// The committed state of each service, by shard.
    pub states: BTreeMap<Arc<str>, Vec<Vec<StateEntry>>>,
    /// What the watched values were in the end.
    pub watched: Vec<(String, String)>,
    /// Virtual time from the beginning to the end.
    pub simulated: Duration,
    /// Whether everything was done in time, and everybody stopped when asked to.
    pub settled: bool,
}

impl Run {
    pub(super) fn gather(
        setup: &Setup,
        chaos: &Chaos,
        broker: &dyn Broker,
        simulated: Duration,
        settled: bool,
    ) -> Self {
        let services: Vec<_> = setup.parts.iter().map(super::Deployed::newest).collect();
        let mut topics = BTreeMap::new();
        for service in &services {
            for topic in service.input_topics().chain(service.output_topics()) {
                topics.entry(Arc::clone(topic)).or_insert_with(|| read(broker, topic, setup.partitions));
            }
        }
        let states = services.iter().map(|service| {
            let all = KeyRange { start: Bound::Unbounded, end: Bound::Unbounded };
            let shard = |shard| broker.state(service.name(), shard, &all, usize::MAX).now_or_never();
            let shards = (0..setup.partitions)
                .map(|number| shard(number).expect("`memory:` answers at once").expect("`memory:` can be read"));
            (Arc::clone(service.name()), shards.collect())
        });
        Self {
            states: states.collect(),
            services: services.iter().map(known).collect(),
            topics,
            watched: setup.watches.iter().map(|(name, watch)| (name.clone(), watch())).collect(),
            ledger: chaos.ledger.take(),
            simulated,
            settled,
        }
    }
}

fn known(service: &tidemill_core::service::Service) -> Known {
    let limits = service.limits();
    Known {
        name: Arc::clone(service.name()),
        inputs: service.input_topics().cloned().collect(),
        in_flight: limits.in_flight,
        undone: limits.undone,
    }
}

fn stored(record: &Record) -> Stored {
    let text = |name| record.headers.text(name).map(str::to_owned);
    Stored {
        offset: record.offset,
        key: record.key.as_deref().map(<[u8]>::to_vec),
        id: text(headers::ID),
        source: text(headers::SOURCE),
        cause: text(headers::CAUSATION_ID),
        value: record.value.as_deref().map(<[u8]>::to_vec),
    }
}

/// Reads all of a topic, as a member of a group that nobody else is in.
fn read(broker: &dyn Broker, topic: &Arc<str>, partitions: u32) -> Vec<Vec<Stored>> {
    let subscription = Subscription { group: AUDITOR.into(), member: AUDITOR.into(), topics: vec![Arc::clone(topic)] };
    let mut log = broker.join(subscription).expect("the topic is there").log;
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = vec![Vec::new(); partitions as usize];
    let mut batches = Vec::new();
    loop {
        match log.poll(&mut cx, usize::MAX, &mut batches) {
            Poll::Ready(Ok(Some(LogEvent::Assigned { partitions, .. }))) => {
                for partition in &partitions {
                    log.start(partition, Start::Earliest).expect("`memory:` can be read");
                }
            }
            Poll::Ready(Ok(Some(_))) => unreachable!("nobody else is in this group"),
            Poll::Ready(Ok(None)) => {
                for batch in batches.drain(..) {
                    all[batch.source.partition as usize].extend(batch.records.iter().map(stored));
                }
            }
            Poll::Pending => return all,
            Poll::Ready(Err(error)) => panic!("`memory:` can be read: {error}"),
        }
    }
}
