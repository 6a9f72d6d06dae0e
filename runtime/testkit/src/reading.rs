//! Reads what lies on a broker that answers at once, as `memory:` does, when whoever runs on it stands still.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use tidemill_core::ports::{Broker, Entry, KeyRange, LogEvent, Start, Subscription};
use tidemill_core::record::Record;

/// The group that reads, which nobody else is in.
const READER: &str = "the-reader";

/// What a call to such a broker answers. Panics when it does not answer at once.
pub fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("`memory:` answers at once")
}

/// All records of a topic, by partition. Panics when the topic is not there, or cannot be read.
pub fn records(broker: &dyn Broker, topic: &str) -> Vec<Vec<Record>> {
    let info = at_once(broker.topics().describe(topic)).unwrap_or_else(|error| panic!("{error}"));
    let partitions = info.unwrap_or_else(|| panic!("topic {topic} does not exist")).partitions;
    let topics = vec![Arc::from(topic)];
    let subscription = Subscription { group: READER.into(), member: READER.into(), topics };
    let mut log = broker.join(subscription).unwrap_or_else(|error| panic!("{error}")).log;
    let mut all = vec![Vec::new(); partitions as usize];
    let (mut batches, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    while let Poll::Ready(polled) = log.poll(&mut cx, usize::MAX, &mut batches) {
        if let Some(LogEvent::Assigned { partitions, .. }) = polled.unwrap_or_else(|error| panic!("{error}")) {
            for partition in &partitions {
                log.start(partition, Start::Earliest).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        for batch in batches.drain(..) {
            all[batch.source.partition as usize].extend(batch.records);
        }
    }
    all
}

/// All committed state of one shard of a service. Panics when it cannot be read.
pub fn state(broker: &dyn Broker, service: &str, shard: u32) -> Vec<Entry> {
    at_once(broker.state(service, shard, &KeyRange::all(), usize::MAX)).unwrap_or_else(|error| panic!("{error}"))
}
