//! The bare loop: reads the same input through the broker's ports and publishes it again, without the core.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tidemill::code::Coded;
use tidemill::ports::{Broker, Log, LogEvent, Start, Subscription};
use tidemill::record::RecordBatch;
use tidemill_core::outputs::{Address, Outputs};

use crate::measure::PARTITIONS;
use crate::meter::now;

/// Bytes that are published in one act. In memory 256 KiB to 2 MiB are equally fast, and 8 MiB half as fast; on a disk larger
/// batches than this gain nothing that stands out of the noise.
const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// Copies so many records of one topic to another, each to the partition that it came from, and tells how long it took from the
/// first read to the last answer. `room` bounds one read, in bytes.
pub(crate) async fn copy(
    broker: &dyn Broker,
    (from, to): (&str, &str),
    records: u64,
    room: usize,
) -> Result<Duration, Coded> {
    let subscription = Subscription { group: "bare".into(), member: "bare".into(), topics: vec![from.into()] };
    let mut log = broker.join(subscription)?.log;
    start(&mut *log).await?;
    let topics: Arc<[Arc<str>]> = [to.into()].into();
    let mut pending = Outputs::new(Arc::clone(&topics));
    let (mut batches, mut left) = (Vec::new(), records);
    let begun = now();
    while left > 0 {
        poll(&mut *log, room, &mut batches).await?;
        for RecordBatch { source, records, .. } in batches.drain(..) {
            left = left.saturating_sub(records.len() as u64);
            for record in records {
                let address = Address { topic: 0, partition: source.partition, timestamp: record.timestamp };
                pending.push_raw(address, record.key.as_deref(), &record.headers, record.value.as_deref());
            }
        }
        if left == 0 || pending.bytes() >= BATCH_BYTES {
            broker.publish(std::mem::replace(&mut pending, Outputs::new(Arc::clone(&topics)))).await?;
        }
    }
    Ok(now().duration_since(begun))
}

/// Begins to read every partition as it comes to this member, the only one of its group.
async fn start(log: &mut dyn Log) -> Result<(), Coded> {
    let (mut started, mut none) = (0, Vec::new());
    while started < PARTITIONS {
        if let Some(LogEvent::Assigned { partitions, .. }) = poll(log, 0, &mut none).await? {
            for partition in partitions {
                log.start(&partition, Start::Earliest)?;
                started += 1;
            }
        }
    }
    Ok(())
}

async fn poll(log: &mut dyn Log, room: usize, into: &mut Vec<RecordBatch>) -> Result<Option<LogEvent>, Coded> {
    poll_fn(|cx| log.poll(cx, room, into)).await
}
