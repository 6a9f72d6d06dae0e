//! From an address to a broker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Blocking, Broker, Clock, Random, Store};
use tidemill_embedded::store::{self, StoreKind};
use tidemill_embedded::{Embedded, Retention, Settings, Sync};
use tidemill_kafka::{self as kafka, Kafka, OpenStore};

use crate::config::Configuration;
use crate::exported::Exported;
use crate::host::machine::SplitMix;
use crate::host::state;

/// The scheme of the broker that lives in this process's memory.
const MEMORY: &str = "memory:";
/// The scheme of the broker that lives in a directory.
const EMBEDDED: &str = "embedded:";
/// The scheme of records in a file.
const EXPORTED: &str = "jsonl:";
/// The scheme of a Kafka cluster.
const KAFKA: &str = "kafka://";

/// Whether the broker of this address lives and dies with the process.
pub(super) fn is_memory(address: &str) -> bool {
    address == MEMORY
}

/// The name of this process in a group. On a cluster many processes meet, so one that nobody chose is unique; it stays the same
/// for as long as the folder with the group's state does, which only one process at a time can open.
pub(super) fn instance(configuration: &Configuration, group: &str) -> Result<String, Coded> {
    if !configuration.broker().starts_with(KAFKA) || configuration.has_instance() {
        return Ok(configuration.instance().to_owned());
    }
    let unique = format!("{:016x}", SplitMix::seeded().next());
    match state_folder(configuration) {
        None if is_static(configuration) => {
            let message =
                "kafka.members=static needs a name that stays: set `instance`, or `state_dir`, where one is kept";
            Err(Coded::new(Code::BAD_VALUE, message))
        }
        None => Ok(unique),
        Some(folder) => {
            let file = folder.join(format!("{group}.instance"));
            let cannot = |error| Coded::new(Code::WRITE_FAILED, format!("{} cannot be kept: {error}", file.display()));
            kept(&folder, &file, unique).map_err(cannot)
        }
    }
}

/// What stands in a file of a folder, which is made with `text` in it where it is not there.
fn kept(folder: &Path, file: &Path, text: String) -> io::Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    fs::create_dir_all(folder)?;
    // Given its name when it is whole.
    let draft = file.with_extension("draft");
    fs::write(&draft, &text)?;
    fs::File::open(&draft)?.sync_all()?;
    fs::rename(&draft, file)?;
    Ok(text)
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
    if let Some(file) = address.strip_prefix(EXPORTED) {
        return Ok(Arc::new(Exported::open(Path::new(file))?));
    }
    match address.strip_prefix(EMBEDDED) {
        Some("") => unknown(format!("broker address {address} names no directory; it has to be embedded:DIR")),
        Some(directory) => Ok(Embedded::open(Path::new(directory), &settings(configuration), clock, blocking)?),
        None => match address.strip_prefix(KAFKA) {
            Some(brokers) if brokers.split(',').all(is_host_and_port) => {
                let stores = stores(configuration);
                Ok(Kafka::open(kafka_settings(configuration, brokers), stores, clock, blocking)?)
            }
            Some(_) => unknown(format!("broker address {address} has to be kafka://HOST:PORT[,HOST:PORT]")),
            None => unknown(format!(
                "no broker has an address such as {address}; use memory:, embedded:DIR, kafka://HOST:PORT or, to read what was exported, jsonl:FILE"
            )),
        },
    }
}

fn is_static(configuration: &Configuration) -> bool {
    configuration.text("kafka.members") == "static"
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn kafka_settings(configuration: &Configuration, brokers: &str) -> kafka::Settings {
    let defaults = kafka::Settings::default();
    let time = |key: &str, default| configuration.time(key).unwrap_or(default);
    let number = |key: &str| configuration.number(key).unwrap_or_default();
    kafka::Settings {
        brokers: brokers.to_owned(),
        protocol: match configuration.text("kafka.group_protocol") {
            "consumer" => kafka::GroupProtocol::Consumer,
            _ => kafka::GroupProtocol::Classic,
        },
        static_members: is_static(configuration),
        drain: configuration.drain(),
        session_timeout: time("kafka.session_timeout", defaults.session_timeout),
        heartbeat: time("kafka.heartbeat", defaults.heartbeat),
        transaction_timeout: time("kafka.transaction_timeout", defaults.transaction_timeout),
        allow_sasl_plaintext: configuration.text("kafka.allow_sasl_plaintext") == "true",
        token_file: configuration.given("kafka.token_file").map(PathBuf::from),
        fetch_ahead: usize::try_from(number("kafka.fetch_ahead")).unwrap_or(usize::MAX),
        replication: i32::try_from(number("topics.replication")).ok().filter(|copies| *copies > 0),
        retention: (configuration.time("topics.retention_age"), configuration.number("topics.retention_bytes")),
        keeps_state: !state::is_database(configuration),
        client: configuration.client_settings(),
    }
}

/// The folder in which services on Kafka keep what they may lose.
pub(super) fn state_folder(configuration: &Configuration) -> Option<PathBuf> {
    configuration.given("state_dir").map(PathBuf::from)
}

/// Where services keep a copy of their state: a folder for each group, or memory.
fn stores(configuration: &Configuration) -> OpenStore {
    let folder = state_folder(configuration);
    let settings = settings(configuration);
    Arc::new(move |group| match (&folder, group) {
        (Some(folder), Some(group)) => cache(&folder.join(group), &settings),
        _ => Ok(store::memory()),
    })
}

/// Opens a cache. One that cannot be used any more is made anew: Kafka has everything that was in it.
fn cache(folder: &Path, settings: &Settings) -> Result<Arc<dyn Store>, Coded> {
    match store::open(settings.store, folder, settings.store_cache) {
        Err(cause) if matches!(cause.code, Code::DAMAGED | Code::OTHER_STORE) => {
            tracing::warn!(folder = %folder.display(), %cause, "the copy of the state cannot be used and is made anew");
            let gone = fs::remove_dir_all(folder);
            gone.map_err(|error| Coded::new(Code::WRITE_FAILED, format!("{} stays: {error}", folder.display())))?;
            store::open(settings.store, folder, settings.store_cache)
        }
        opened => opened,
    }
}

pub(super) fn settings(configuration: &Configuration) -> Settings {
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
