//! Reads records for whoever is no member of any group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::code::{Code, Coded};
use tidemill_core::headers::Headers;
use tidemill_core::record::{Record, RecordBatch, TopicPartition};
use tidemill_core::time::Timestamp;

use crate::broker::{PATIENCE, Shared};
use crate::failure::Failure;
use crate::native::{Message, Queue, Signal};
use crate::reader::{list_of, number, offset};

/// The group by whose name records are read here. Nobody joins it, and it has no offsets.
const GROUP: &str = "tidemill.records";
/// How long one look for more records waits.
const PAUSE: Duration = Duration::from_millis(100);

impl Shared {
    /// The first records from an offset on, up to the partition's true `end`: it is passed when the transactions before it are over.
    pub(crate) fn records(
        &self,
        partition: &TopicPartition,
        (oldest, end): (u64, u64),
        (from, limit): (u64, usize),
    ) -> Result<RecordBatch, Coded> {
        let cannot = |failure: Failure| failure.coded(format!("{partition} cannot be read"));
        let mut batch = RecordBatch { source: partition.clone(), records: Vec::new(), next: from.max(oldest) };
        if batch.next >= end || limit == 0 {
            return Ok(batch);
        }
        let client = Arc::new(self.clients.reader(GROUP, 1)?);
        let queue = Queue::open(&client, &partition.topic, number(partition), &Arc::<Signal>::default());
        let assigned = client.incremental_assign(&list_of(partition, offset(batch.next)));
        assigned.map_err(|error| cannot(error.into()))?;
        let (mut messages, mut heard) = (Vec::new(), self.clock.now());
        while self.clock.now().since(heard) < PATIENCE {
            queue.take(PAUSE, &mut messages);
            for message in messages.drain(..) {
                match message.error() {
                    None => {
                        heard = self.clock.now();
                        batch.next = message.offset() + 1;
                        batch.records.push(record(&message));
                    }
                    Some(RDKafkaErrorCode::PartitionEOF) => batch.next = batch.next.max(message.offset()),
                    Some(code) if Failure::new(code, "").is_absence() => {}
                    Some(code) => return Err(self.broken(partition, batch.next, code)),
                }
                if batch.records.len() == limit {
                    return Ok(batch);
                }
            }
            if batch.next >= end {
                return Ok(batch);
            }
        }
        let message = format!("{partition} could not be read to its end in time");
        Err(Coded::new(Code::BROKER_UNREACHABLE, message))
    }
}

/// A record that owns its bytes.
fn record(message: &Message) -> Record {
    let mut headers = Vec::new();
    message.write_headers(&mut headers);
    Record {
        offset: message.offset(),
        timestamp: Timestamp::from_millis(message.timestamp()),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.value().map(Bytes::copy_from_slice),
        headers: Headers::from_bytes(headers.into()),
    }
}
