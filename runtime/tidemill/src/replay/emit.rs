//! What a replay emits, published for real into a topic that is named.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::code::{Code, Coded};
use tidemill_core::headers::{self, Headers};
use tidemill_core::internal::{self, Became, Operation, Order};
use tidemill_core::outputs::{Address, Output, Outputs};
use tidemill_core::partitioner::partition_for;
use tidemill_core::replay::{Told, Wanted};
use tidemill_core::time::Timestamp;

use super::Replay;

/// Bytes that are published in one act, at the most but for larger events.
const BATCH_BYTES: usize = 512 * 1024;

/// What was, or would be, published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Units that ran and are meant.
    pub units: u64,
    /// Those among them that fail now, and so emit nothing.
    pub failing: u64,
    /// Events.
    pub events: u64,
}

/// An event that is to be published.
struct Emitted {
    partition: u32,
    at: Timestamp,
    key: Option<Vec<u8>>,
    headers: Headers,
    value: Option<Vec<u8>>,
}

impl Emitted {
    fn of(output: &Output<'_>, at: Timestamp) -> Self {
        Self {
            partition: output.partition,
            at,
            key: output.key.map(<[u8]>::to_vec),
            headers: Headers::from_bytes(Bytes::copy_from_slice(output.headers)),
            value: output.value.map(<[u8]>::to_vec),
        }
    }

    /// Goes where its key belongs in a topic of so many partitions.
    fn push(&self, partitions: u32, into: &mut Outputs) {
        let key = self.key.as_deref();
        let partition = key.map_or(self.partition % partitions, |key| partition_for(key, partitions));
        let address = Address { topic: 0, partition, timestamp: self.at };
        into.push_raw(address, key, &self.headers, self.value.as_deref());
    }
}

impl Replay {
    /// Runs it, and publishes into a topic what it emits, with the keys, headers and ids that the events have, in the order of each key. Nothing is
    /// published before all ran. Without an `order` it is only counted; with one, what was done is recorded in the service's operations.
    ///
    /// Events keep their ids: where the same is published again, handlers of that topic take it for [copies](crate::headers::ID). A topic that does not
    /// exist is an error (TM-0401), and so is one of the service's own (TM-0102).
    pub async fn emit(
        &self,
        into: &str,
        order: Option<&Order>,
        mut is_meant: impl FnMut(&Told) -> bool,
    ) -> Result<Sent, Coded> {
        let partitions = self.partitions(into).await?;
        let topics: Arc<[Arc<str>]> = [into.into(), internal::operations(self.service.name()).into()].into();
        let own: Vec<&str> = self.service.own_topics().map(|(topic, _)| &**topic).collect();
        let (mut sent, mut events) = (Sent::default(), Vec::<Option<Emitted>>::new());
        let mut known: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let wanted = Wanted { calls: self.calls, ..Wanted::default() };
        self.each(wanted, |told, _| {
            if !is_meant(&told) {
                return Ok(ControlFlow::Continue(()));
            }
            sent.units += 1;
            sent.failing += u64::from(told.failure.is_some());
            let emitted = told.outputs.iter().chain(told.beyond.iter().flat_map(Outputs::iter));
            for output in emitted.filter(|output| !own.contains(&&**output.topic)) {
                // A record that failed several times emits the same with each of them now: it is published where it does so last.
                if let Some(id) = headers::find(output.headers, headers::ID)
                    && let Some(earlier) = known.insert(id.to_vec(), events.len())
                {
                    events[earlier] = None;
                    sent.events -= 1;
                }
                events.push(Some(Emitted::of(&output, told.at)));
                sent.events += 1;
            }
            Ok(ControlFlow::Continue(()))
        })
        .await?;
        let Some(order) = order else { return Ok(sent) };
        let detail = format!("{} events into {into}", sent.events);
        let done = Operation { detail, ..Operation::of(order, "replay-emit", Became::Done, self.clock.now()) };
        let (value, headers) = done.to_record();
        let address = Address { topic: 1, partition: 0, timestamp: self.clock.now() };
        let mut batches = vec![Outputs::new(Arc::clone(&topics))];
        for event in events.into_iter().flatten() {
            if batches.last().is_some_and(|batch| batch.bytes() >= BATCH_BYTES) {
                batches.push(Outputs::new(Arc::clone(&topics)));
            }
            event.push(partitions, batches.last_mut().expect("there is one"));
        }
        batches.last_mut().expect("there is one").push_raw(address, Some(done.id.as_bytes()), &headers, Some(&value));
        for batch in batches {
            self.broker.publish(batch).await?;
        }
        Ok(sent)
    }

    async fn partitions(&self, into: &str) -> Result<u32, Coded> {
        if self.service.own_topics().any(|(topic, _)| **topic == *into) {
            let message = format!("{into} is a topic that service {} has for itself", self.service.name());
            return Err(Coded::new(Code::BAD_VALUE, message));
        }
        let known = self.broker.topics().describe(into).await?;
        known.map(|info| info.partitions).ok_or_else(|| {
            Coded::new(Code::TOPIC_MISSING, format!("topic {into}, into which the events are to go, does not exist"))
        })
    }
}
