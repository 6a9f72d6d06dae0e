//! From an address to a broker.

use std::path::Path;
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Blocking, Broker, Clock};
use tidemill_embedded::store::StoreKind;
use tidemill_embedded::{Embedded, Retention, Settings, Sync};

use crate::config::Configuration;

/// The scheme of the broker that lives in this process's memory.
const MEMORY: &str = "memory:";
/// The scheme of the broker that lives in a directory.
const EMBEDDED: &str = "embedded:";
/// The scheme of a broker that other builds know.
const KAFKA: &str = "kafka:";

/// Whether the broker of this address lives and dies with the process.
pub(super) fn is_memory(address: &str) -> bool {
    address == MEMORY
}

/// Whether there is something at this address already; opening a directory that does not exist makes it.
pub(super) fn exists(address: &str) -> bool {
    address.strip_prefix(EMBEDDED).is_none_or(|directory| Path::new(directory).exists())
}

/// Opens the broker that the configuration names.
pub(super) fn open(
    configuration: &Configuration,
    clock: Arc<dyn Clock>,
    blocking: Arc<dyn Blocking>,
) -> Result<Arc<dyn Broker>, Coded> {
    let address = configuration.broker();
    let unknown = |message: String| Err(Coded::new(Code::UNKNOWN_BROKER, message));
    if is_memory(address) {
        return Ok(Embedded::memory(&settings(configuration), clock));
    }
    match address.strip_prefix(EMBEDDED) {
        Some("") => unknown(format!("broker address {address} names no directory; it has to be embedded:DIR")),
        Some(directory) => Ok(Embedded::open(Path::new(directory), &settings(configuration), clock, blocking)?),
        None if address.starts_with(KAFKA) => unknown(format!(
            "broker address {address} needs Kafka, which is not in this build; use memory: or embedded:DIR"
        )),
        None => unknown(format!("no broker has an address such as {address}; use memory: or embedded:DIR")),
    }
}

fn settings(configuration: &Configuration) -> Settings {
    let bytes = configuration.number("store_cache").unwrap_or(u64::MAX);
    Settings {
        store: match configuration.text("store") {
            "fjall" => StoreKind::Fjall,
            _ => StoreKind::Sled,
        },
        sync: match configuration.time("sync") {
            Some(interval) => Sync::Interval(interval),
            None if configuration.text("sync") == "never" => Sync::Never,
            None => Sync::Commit,
        },
        retention: Retention {
            age: configuration.time("topics.retention_age"),
            bytes: configuration.number("topics.retention_bytes"),
        },
        drain: configuration.drain(),
        store_cache: usize::try_from(bytes).unwrap_or(usize::MAX),
    }
}
