//! The cases: what goes in, what the service does with it, and what comes out.

use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;
use tidemill::code::Coded;
use tidemill::ports::Broker;
use tidemill::service::ServiceBuilder;

use crate::{passthrough, relay, restore, rows, stateful};

/// How many keys the records have.
pub(crate) const KEYS: u64 = 100_000;
/// Bytes of input records that are published in one act.
pub(crate) const PUBLISHED_BYTES: usize = 4 * 1024 * 1024;
/// The time of the first record, in milliseconds since 1970: the beginning of 2025.
pub(crate) const BEGIN_MILLIS: i64 = 1_735_689_600_000;

/// The case of latency, by name.
const LATENCY: &str = "latency";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Case {
    /// Moves raw records of 200 bytes from one topic to another.
    Passthrough,
    /// Moves raw records that come at a steady rate, and measures how long each takes. On Kafka only.
    Latency,
    /// Loses its state and reads it again from the changelog; then keeps it and starts again. On Kafka only.
    Restore,
    /// Writes one row into Postgres for each raw record.
    Rows,
    /// Sends what lies in an outbox in Postgres, and measures how long a row waits there. On Kafka only.
    Relay,
    /// Decodes an Avro event, counts the events of its key, and emits an Avro event.
    Stateful,
}

impl Case {
    /// The name, as it is given and printed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Passthrough => passthrough::NAME,
            Self::Latency => LATENCY,
            Self::Restore => restore::NAME,
            Self::Rows => rows::NAME,
            Self::Relay => relay::NAME,
            Self::Stateful => stateful::NAME,
        }
    }

    /// The topic that the service reads.
    pub(crate) fn input(self) -> &'static str {
        match self {
            Self::Passthrough | Self::Latency | Self::Restore | Self::Rows | Self::Relay => passthrough::INPUT,
            Self::Stateful => stateful::INPUT,
        }
    }

    /// The topic that the service, or the bare loop, writes one record to for each that it reads.
    pub(crate) fn output(self) -> &'static str {
        match self {
            Self::Passthrough | Self::Latency | Self::Restore | Self::Rows | Self::Relay => passthrough::OUTPUT,
            Self::Stateful => stateful::OUTPUT,
        }
    }

    /// The service, which has the case's name, if there is one.
    pub(crate) fn service(self) -> Option<ServiceBuilder> {
        Some(match self {
            Self::Passthrough | Self::Latency => passthrough::service(self.name()),
            Self::Restore => restore::service(),
            Self::Rows => rows::service(),
            Self::Relay => return None,
            Self::Stateful => stateful::service(),
        })
    }

    /// How many records are worked through where nobody says.
    pub(crate) fn records(self) -> u64 {
        match self {
            Self::Latency => 30_000,
            Self::Restore => 1_000_000,
            Self::Rows => 50_000,
            Self::Relay => 200_000,
            Self::Passthrough | Self::Stateful => 2_000_000,
        }
    }

    /// Publishes so many records to the input.
    pub(crate) async fn publish(self, broker: &Arc<dyn Broker>, records: u64) -> Result<(), Coded> {
        match self {
            Self::Passthrough | Self::Latency => passthrough::publish(&**broker, records, key_of).await,
            Self::Restore | Self::Rows | Self::Relay => passthrough::publish(&**broker, records, |number| number).await,
            Self::Stateful => stateful::publish(broker, records).await,
        }
    }
}

/// The key of a record of the input, by chance and in every run the same: the finish of splitmix64 (Steele, Lea and Flood, 2014),
/// which spreads consecutive numbers evenly.
pub(crate) fn key_of(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % KEYS
}

#[cfg(test)]
mod tests;
