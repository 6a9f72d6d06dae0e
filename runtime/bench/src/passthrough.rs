//! Raw records of 200 bytes, moved from one topic to another: what the runtime costs where the handler costs nothing.

use std::sync::Arc;

use bytes::Bytes;
use tidemill::code::Coded;
use tidemill::ports::Broker;
use tidemill::prelude::*;
use tidemill::time::Timestamp;
use tidemill_core::headers::Headers;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::partitioner::partition_for;
use tidemill_kafka::raw::{Work, Written};

use crate::case::{BEGIN_MILLIS, PUBLISHED_BYTES};
use crate::measure::PARTITIONS;

pub(crate) const NAME: &str = "passthrough";
pub(crate) const INPUT: &str = "bench-in";
pub(crate) const OUTPUT: &str = "bench-out";

/// The bytes of a key.
const KEY_BYTES: usize = 16;
/// The bytes of a value.
const VALUE_BYTES: usize = 200;
/// How many of them look like chance; the others are the same in all records, so that a store that compresses finds about as
/// much to compress as in real data.
const RANDOM_BYTES: usize = 104;

/// A value that nobody looks into.
#[derive(Debug, Event)]
#[event(name = "bench.payload", version = 1, topic = "bench-in", codec = raw)]
pub(crate) struct Payload(Bytes);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

async fn pass(payload: &Payload, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let key = cx.metadata().key().unwrap_or_default();
    let key: [u8; KEY_BYTES] = key.try_into().map_err(|_| HandlerError::permanent("a key of another length"))?;
    cx.emit_raw(OUTPUT, Some(&key), &Headers::default(), Some(payload.as_ref()));
    Ok(())
}

pub(crate) fn service(name: &'static str) -> ServiceBuilder {
    Service::builder(name).on::<Payload>("pass", pass).emits_to(OUTPUT)
}

/// The same in a bare loop.
pub(crate) struct Pass;

impl Work for Pass {
    fn on<'a>(&'a mut self, key: Option<&'a [u8]>, value: &'a [u8]) -> Written<'a> {
        static NONE: Headers = Headers::from_bytes(Bytes::new());
        Written { key, value, headers: &NONE }
    }
}

/// Publishes the input: values as above, a key for each number, no headers, as a foreign program would.
pub(crate) async fn publish(broker: &dyn Broker, records: u64, key_of: fn(u64) -> u64) -> Result<(), Coded> {
    let topics: Arc<[Arc<str>]> = [INPUT.into()].into();
    let mut pending = Outputs::new(Arc::clone(&topics));
    let (mut value, mut chance) = ([b'.'; VALUE_BYTES], 1);
    for number in 0..records {
        let key = format!("{:0KEY_BYTES$x}", key_of(number));
        for part in value[..RANDOM_BYTES].chunks_exact_mut(8) {
            part.copy_from_slice(&next(&mut chance).to_le_bytes());
        }
        let timestamp = Timestamp::from_millis(BEGIN_MILLIS.saturating_add_unsigned(number));
        let address = Address { topic: 0, partition: partition_for(key.as_bytes(), PARTITIONS), timestamp };
        pending.push_raw(address, Some(key.as_bytes()), &Headers::default(), Some(&value));
        if pending.bytes() >= PUBLISHED_BYTES {
            broker.publish(std::mem::replace(&mut pending, Outputs::new(Arc::clone(&topics)))).await?;
        }
    }
    broker.publish(pending).await
}

/// The next of Marsaglia's xorshift numbers; `state` is not zero.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
