//! Reads what lies on a broker that answers at once, as `memory:` does, when whoever runs on it stands still.

use std::future::Future;

use futures_util::FutureExt;
use tidemill_core::ports::{Broker, Entry, KeyRange};
use tidemill_core::record::{Record, TopicPartition};

/// What a call to such a broker answers. Panics when it does not answer at once.
pub fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("`memory:` answers at once")
}

/// All records of a topic, by partition. Panics when the topic is not there, or cannot be read.
pub fn records(broker: &dyn Broker, topic: &str) -> Vec<Vec<Record>> {
    let topics = broker.topics();
    let info = at_once(topics.describe(topic)).unwrap_or_else(|error| panic!("{error}"));
    let partitions = info.unwrap_or_else(|| panic!("topic {topic} does not exist")).partitions;
    let all = |number| {
        let partition = TopicPartition::new(topic, number);
        at_once(topics.records(&partition, 0, usize::MAX)).unwrap_or_else(|error| panic!("{error}")).records
    };
    (0..partitions).map(all).collect()
}

/// All committed state of one shard of a service. Panics when it cannot be read.
pub fn state(broker: &dyn Broker, service: &str, shard: u32) -> Vec<Entry> {
    at_once(broker.state(service, shard, &KeyRange::all(), usize::MAX)).unwrap_or_else(|error| panic!("{error}"))
}
