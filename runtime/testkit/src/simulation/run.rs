//! What a run left behind: the ledger, the topics, the state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::headers::{self, Headers};
use tidemill_core::internal;
use tidemill_core::ports::{Entry as StateEntry, NoObserver};
use tidemill_core::record::Record;
use tidemill_core::service::Service;
use tidemill_embedded::Embedded;

use super::Setup;
use super::chaos::Chaos;
use super::ledger::Entry;
use crate::fakes::{block_on, ports};
use crate::reading;
use crate::replayed::{Failures, replay};

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
    /// All of its headers.
    pub headers: Headers,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

impl Stored {
    /// The type that its headers name, if they do.
    pub fn event(&self) -> Option<&str> {
        self.headers.text(headers::TYPE)
    }
}

/// A service of a run, as the checkers have to know it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name, and its group's.
    pub name: Arc<str>,
    /// The topics it reads, that of its operators' commands among them.
    pub inputs: Vec<Arc<str>>,
    /// The topic of its dead letters.
    pub letters: Arc<str>,
    /// The topic of its operators' commands.
    pub commands: Arc<str>,
    /// The topic that tells what became of them.
    pub operations: Arc<str>,
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
    /// What is not as it was when everything that the journals tell of runs again, in words. Nothing is known of a run that did not settle.
    pub replays: Vec<String>,
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
        services: &[Service],
        chaos: &Chaos,
        broker: &Arc<Embedded>,
        (simulated, settled): (Duration, bool),
    ) -> Self {
        // In this order: handlers that run again may change what is watched.
        let (watched, ledger) =
            (setup.watches.iter().map(|(name, watch)| (name.clone(), watch())).collect(), chaos.ledger.take());
        let replays = if settled { replays(setup, chaos, broker) } else { Vec::new() };
        let mut topics = BTreeMap::new();
        for topic in services.iter().flat_map(|service| service.input_topics().chain(service.output_topics())) {
            topics.entry(Arc::clone(topic)).or_insert_with(|| {
                let partitions = reading::records(&**broker, topic);
                partitions.iter().map(|records| records.iter().map(stored).collect()).collect()
            });
        }
        let states = services.iter().map(|service| {
            let shards = (0..setup.partitions).map(|shard| reading::state(&**broker, service.name(), shard));
            (Arc::clone(service.name()), shards.collect())
        });
        Self {
            states: states.collect(),
            services: services.iter().map(known).collect(),
            topics,
            replays,
            watched,
            ledger,
            simulated,
            settled,
        }
    }
}

/// Runs again what the services did.
fn replays(setup: &Setup, chaos: &Chaos, broker: &Arc<Embedded>) -> Vec<String> {
    let mut differences = Vec::new();
    for part in &setup.parts {
        let service = Arc::new(part.newest());
        let name = Arc::clone(service.name());
        let ports = ports(&chaos.clock, 0, Arc::new(NoObserver));
        match block_on(&chaos.clock, replay(service, broker.clone(), ports, Failures::Injected)) {
            Ok(replayed) => differences.extend(replayed.differences.iter().map(|what| format!("{name}: {what}"))),
            Err(cause) => differences.push(format!("{name} cannot be replayed: {cause}")),
        }
    }
    differences
}

fn known(service: &Service) -> Known {
    let limits = service.limits();
    let own = |name: fn(&str) -> String| Arc::from(name(service.name()));
    Known {
        name: Arc::clone(service.name()),
        inputs: service.input_topics().cloned().collect(),
        letters: own(internal::dead_letters),
        commands: own(internal::internal),
        operations: own(internal::operations),
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
        headers: record.headers.clone(),
        value: record.value.as_deref().map(<[u8]>::to_vec),
    }
}
