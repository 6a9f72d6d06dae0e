//! What a replay emits, published for real into a topic that is named.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::code::{Code, Coded};
use tidemill_core::headers::Headers;
use tidemill_core::internal::{self, Became, Operation, Order};
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::partitioner::partition_for;
use tidemill_core::replay::{Told, Wanted};

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
        let (mut sent, mut batches) = (Sent::default(), vec![Outputs::new(Arc::clone(&topics))]);
        let wanted = Wanted { calls: self.calls, ..Wanted::default() };
        self.each(wanted, |told, _| {
            if !is_meant(&told) {
                return Ok(ControlFlow::Continue(()));
            }
            sent.units += 1;
            sent.failing += u64::from(told.failure.is_some());
            let emitted = told.outputs.iter().chain(told.beyond.iter().flat_map(Outputs::iter));
            for output in emitted.filter(|output| !own.contains(&&**output.topic)) {
                if batches.last().is_some_and(|batch| batch.bytes() >= BATCH_BYTES) {
                    batches.push(Outputs::new(Arc::clone(&topics)));
                }
                let partition = output.key.map_or(output.partition % partitions, |key| partition_for(key, partitions));
                let address = Address { topic: 0, partition, timestamp: told.at };
                let headers = Headers::from_bytes(Bytes::copy_from_slice(output.headers));
                batches.last_mut().expect("there is one").push_raw(address, output.key, &headers, output.value);
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
