//! Finds records by time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::code::Coded;
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;

use crate::broker::{PATIENCE, Shared};
use crate::failure::Failure;
use crate::native::{Queue, Signal};
use crate::reader::{list_of, number, offset};

/// The group by whose name records are read here. Nobody joins it, and it has no offsets.
const GROUP: &str = "tidemill.times";
/// How long one look for more records waits.
const PAUSE: Duration = Duration::from_millis(100);

impl Shared {
    /// Looks up the offset of the first record of a time.
    pub(crate) fn locate(
        self: &Arc<Self>,
        partition: TopicPartition,
        at: Timestamp,
    ) -> BoxFuture<'static, Result<Option<u64>, Coded>> {
        let shared = Arc::clone(self);
        let located = self.away(move || {
            let cannot = |failure: Failure| failure.coded(format!("an offset of {partition} cannot be found"));
            let Some(from) = shared.ask_offset_at(&partition, at).map_err(cannot)? else { return Ok(None) };
            shared.first_record(&partition, from, at).map_err(cannot)
        });
        Box::pin(async move { located.await? })
    }

    /// What the broker takes for the first offset of a time. The markers of transactions have times to it, those at which they
    /// were written, so it may lie before the record that is meant: far before, where events are older than their records.
    fn ask_offset_at(&self, partition: &TopicPartition, at: Timestamp) -> Result<Option<u64>, Failure> {
        let mut list = rdkafka::TopicPartitionList::new();
        // An offset in this question is a time; times before the epoch find what the epoch finds.
        let time = rdkafka::Offset::Offset(at.as_millis().max(0));
        list.add_partition_offset(&partition.topic, number(partition), time)?;
        let found = self.plain.offsets_for_times(list, PATIENCE)?;
        let element = found.find_partition(&partition.topic, number(partition));
        let element = element.ok_or_else(|| Failure::new(RDKafkaErrorCode::Fail, "no answer"))?;
        element.error()?;
        Ok(match element.offset() {
            rdkafka::Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        })
    }

    /// Reads from there on to the first record of this time or a later one.
    fn first_record(&self, partition: &TopicPartition, from: u64, at: Timestamp) -> Result<Option<u64>, Failure> {
        let opened = self.clients.reader(GROUP, 1);
        let client = Arc::new(opened.map_err(|cause| Failure::new(RDKafkaErrorCode::InvalidArgument, cause))?);
        let queue = Queue::open(&client, &partition.topic, number(partition), &Arc::<Signal>::default());
        client.incremental_assign(&list_of(partition, offset(from)))?;
        let mut messages = Vec::new();
        let mut heard = self.clock.now();
        while self.clock.now().since(heard) < PATIENCE {
            queue.take(PAUSE, &mut messages);
            for message in messages.drain(..) {
                heard = self.clock.now();
                match message.error() {
                    None if message.timestamp() >= at.as_millis() => return Ok(Some(message.offset())),
                    None => {}
                    Some(RDKafkaErrorCode::PartitionEOF) => return Ok(None),
                    Some(code) if Failure::new(code, "").is_absence() => {}
                    Some(code) => return Err(Failure::new(code, "the broker says")),
                }
            }
        }
        Err(Failure::new(RDKafkaErrorCode::OperationTimedOut, "records are not told"))
    }
}
