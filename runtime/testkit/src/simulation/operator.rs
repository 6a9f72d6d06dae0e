//! An operator of the services of a run: what such a one sees, and does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::internal::{self, Command, Order, Wish};
use tidemill_core::letters::Letter;
use tidemill_core::parking::Parked;
use tidemill_core::ports::{Broker, Clock};
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::state::ScopeKey;

use super::fault::below;
use crate::fakes::{Seeded, VirtualClock};
use crate::reading;

/// What an operator sees who looks at the services while they run.
pub struct Scene<'w> {
    pub(super) broker: &'w dyn Broker,
    pub(super) clock: &'w Arc<VirtualClock>,
    pub(super) chance: &'w Seeded,
    pub(super) partitions: u32,
    /// How often the operator has looked before.
    pub(super) looks: u64,
    pub(super) is_last: bool,
}

/// Something that an operator publishes.
#[derive(Debug, Clone)]
pub struct Act {
    /// Where it goes.
    pub target: TopicPartition,
    /// What it is; its offset does not count.
    pub record: Record,
}

impl Scene<'_> {
    /// How often the operator has looked before.
    pub const fn looks(&self) -> u64 {
        self.looks
    }

    /// Whether the services are done with everything they can be done with alone. The operator looks again and again until
    /// there is nothing to do.
    pub const fn is_last(&self) -> bool {
        self.is_last
    }

    /// Virtual time since the beginning.
    pub fn passed(&self) -> Duration {
        self.clock.passed()
    }

    /// A number below `bound`, which is not 0, that follows from the seed.
    pub fn draw(&self, bound: u64) -> u64 {
        below(self.chance, bound)
    }

    /// All records of a topic, by partition.
    pub fn records(&self, topic: &str) -> Vec<Vec<Record>> {
        reading::records(self.broker, topic)
    }

    /// The newest round of each dead letter of a service that is open, with its shard.
    pub fn open_letters(&self, service: &str) -> Vec<(u32, Letter)> {
        self.letters(service, true)
    }

    /// The newest round of each dead letter of a service that is open no more, with its shard.
    pub fn closed_letters(&self, service: &str) -> Vec<(u32, Letter)> {
        self.letters(service, false)
    }

    fn letters(&self, service: &str, open: bool) -> Vec<(u32, Letter)> {
        let mut newest = BTreeMap::new();
        for (shard, records) in (0..).zip(self.records(&internal::dead_letters(service))) {
            for letter in records.iter().filter_map(Letter::read) {
                newest.insert(letter.id.clone(), (shard, letter));
            }
        }
        let states = (0..self.partitions).flat_map(|shard| reading::state(self.broker, service, shard));
        let open_ids: Vec<Vec<u8>> = states
            .filter_map(|(key, _)| {
                let place = ScopeKey::parse(&key)?;
                (place.handler.is_empty() && place.name == "letters").then(|| place.entry.map(<[u8]>::to_vec))?
            })
            .collect();
        newest.retain(|id, _| open_ids.iter().any(|open| open == id.as_bytes()) == open);
        newest.into_values().collect()
    }

    /// A command to a shard of a service, to be given. Its id has to be no other's.
    pub fn command(&self, service: &str, shard: u32, id: String, wish: Wish, target: Parked) -> Act {
        let order = Order { id, by: "operator".into(), reason: "simulated".into(), at: self.clock.now().as_millis() };
        let key = target.record().key;
        let (value, headers) = Command { order, wish, target }.to_record();
        let record = Record { offset: 0, timestamp: self.clock.now(), key, value: Some(value.into()), headers };
        Act { target: TopicPartition::new(internal::internal(service), shard), record }
    }
}
