//! The table of all configuration keys. Parsing and `config show` come from it, and a test holds the table in
//! `docs/CONFIGURATION.md` to it.

use tidemill_core::failure::ErrorClass;

use crate::config::value::Kind;

/// What is known of one key.
pub(super) struct Key {
    /// Its name, levels separated by dots.
    pub(super) name: &'static str,
    /// What its values look like.
    pub(super) kind: Kind,
    /// Its value where no layer gives one.
    pub(super) default: &'static str,
    /// What it does, in one line.
    pub(super) meaning: &'static str,
}

/// The most partitions or workers anybody can mean.
const MANY: u64 = 10_000;
/// The most of anything that is counted in memory.
const MOST: u64 = 1_000_000_000;
/// The shortest time after which a handler may be said to block its thread.
const SHORTEST_WATCHDOG_MILLIS: u64 = 100;

const COUNT: Kind = Kind::Count { least: 1, most: MOST };
const FEW: Kind = Kind::Count { least: 1, most: MANY };
const SOME_BYTES: Kind = Kind::Size { least: 1 };
const ANY_BYTES: Kind = Kind::Size { least: 0 };
const ANY_TIME: Kind = Kind::Duration { least_millis: 0 };
const SOME_TIME: Kind = Kind::Duration { least_millis: 1 };

const fn key(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, default, meaning }
}

/// The one secret among the keys of our own.
const REGISTRY_PASSWORD: &str = "registry.password";

/// Every key there is.
pub(super) const KEYS: &[Key] = &[
    key(
        "broker",
        Kind::Text,
        "memory:",
        "The broker: `memory:`, `embedded:DIR` for a directory of this machine, or `kafka://HOST:PORT[,HOST:PORT]`.",
    ),
    key(
        "instance",
        Kind::Text,
        "local",
        "The name of this process in its groups; its members are `INSTANCE.WORKER`. On Kafka, a name that nobody else has \
         stands for `local`; it is kept in `state_dir`.",
    ),
    key(
        "state_dir",
        Kind::Text,
        "none",
        "Where services on Kafka keep a copy of their state; `none` keeps it in memory, and each start reads all of it.",
    ),
    key(
        "store",
        Kind::Choice(&["sled", "fjall"]),
        "sled",
        "The store that a new directory of `embedded:` is made with.",
    ),
    key(
        "sync",
        Kind::Sync,
        "commit",
        "When a commit of `embedded:` reaches the disk: before it is answered, at least this often, or when the system likes.",
    ),
    key("store_cache", ANY_BYTES, "16MiB", "Memory that the store of `embedded:` may use for what it has read."),
    key(
        "start",
        Kind::Start,
        "earliest",
        "Where a service begins in partitions of which it has done nothing yet. Without it, where the service declares.",
    ),
    key("workers", FEW, "1", "Workers of each service in this process: threads that share its shards."),
    key("drain", SOME_TIME, "10s", "How long a worker may take to give shards up when it stops or they move."),
    key(
        "watchdog",
        Kind::Duration { least_millis: SHORTEST_WATCHDOG_MILLIS },
        "10s",
        "A handler that blocks its thread for longer ends the process (TM-0502).",
    ),
    key("topics.partitions", FEW, "4", "Partitions of topics that are created."),
    key(
        "topics.retention_age",
        Kind::AgeOrNone,
        "none",
        "How long `embedded:` and `memory:` keep a record; on Kafka, what `topics create` sets, or leaves to the cluster.",
    ),
    key(
        "topics.retention_bytes",
        Kind::SizeOrNone,
        "none",
        "How many bytes of a partition they keep; on Kafka likewise.",
    ),
    key(
        "topics.replication",
        Kind::Count { least: 0, most: MANY },
        "0",
        "Copies of each record of a topic that is created on Kafka; `0` leaves it to the broker.",
    ),
    key(
        "kafka.group_protocol",
        Kind::Choice(&["classic", "consumer"]),
        "classic",
        "How members of a group agree: `classic`, or `consumer` (KIP-848), which moves only what has to move.",
    ),
    key("kafka.session_timeout", SOME_TIME, "10s", "A member that is silent for so long loses its shards (`classic`)."),
    key("kafka.heartbeat", SOME_TIME, "1s", "How often a member tells that it is alive (`classic`)."),
    key(
        "kafka.transaction_timeout",
        SOME_TIME,
        "10s",
        "A transaction that is open for longer is aborted. Handlers run outside of it.",
    ),
    key(
        "kafka.members",
        Kind::Choice(&["dynamic", "static"]),
        "dynamic",
        "Whether an instance that stops gives its shards up at once, or keeps them for `kafka.session_timeout`, so that a quick \
         restart moves nothing. `static` needs `instance` or `state_dir`.",
    ),
    key(
        "kafka.allow_sasl_plaintext",
        Kind::Choice(&["false", "true"]),
        "false",
        "Whether passwords may go over connections that are not encrypted (`security.protocol` `sasl_plaintext`).",
    ),
    key(
        "kafka.token_file",
        Kind::Text,
        "none",
        "The file with the token for `sasl.mechanism` `OAUTHBEARER`; it is read again every 48 seconds.",
    ),
    key("kafka.fetch_ahead", SOME_BYTES, "16MiB", "Bytes fetched ahead from Kafka, in each worker."),
    key(
        "registry.url",
        Kind::Text,
        "none",
        "A schema registry with the API of Confluent's, as `http(s)://HOST[:PORT][/PATH]`: Avro values name their schema by its id \
         there.",
    ),
    key("registry.user", Kind::Text, "none", "Who asks the registry, by basic authentication."),
    key(REGISTRY_PASSWORD, Kind::Text, "none", "The user's password; `file:PATH` reads it from a file."),
    key(
        "registry.register",
        Kind::Choice(&["never", "missing"]),
        "never",
        "What becomes of schemas that are written and not registered: `never` refuses to start, `missing` registers them.",
    ),
    key(
        "registry.allow_plaintext_password",
        Kind::Choice(&["false", "true"]),
        "false",
        "Whether the password may go over `http` to another machine.",
    ),
    key(
        "limits.in_flight",
        COUNT,
        "1000",
        "Units under way at once whose handlers wait for something, in each worker.",
    ),
    key("limits.lane_queue", COUNT, "1000", "Records queued behind the unit under way in one lane."),
    key("limits.read_ahead", SOME_BYTES, "4MiB", "Records read and not yet taken by a lane, in each worker."),
    key("limits.undone", COUNT, "10000", "Taken records of one partition that are not done."),
    key("limits.commit_bytes", SOME_BYTES, "8MiB", "Outputs and state changes that fill a commit."),
    key("limits.commit_interval", ANY_TIME, "100ms", "The longest time between two commits under load."),
    key("limits.commit_linger", ANY_TIME, "1ms", "How long a commit waits for more units once the input is drained."),
    key(
        "limits.state_cache",
        ANY_BYTES,
        "8MiB",
        "Committed state kept in memory for reading it again, in each worker.",
    ),
    key("limits.handler_timeout", SOME_TIME, "30s", "How long a handler may take for one attempt."),
    key("limits.parked", COUNT, "10000", "Parked records of one shard."),
    key("limits.parked_bytes", SOME_BYTES, "64MiB", "Bytes of them."),
    key("limits.lane_parked", COUNT, "2000", "Parked records of one key of one handler."),
    key("limits.lane_parked_bytes", SOME_BYTES, "16MiB", "Bytes of them."),
    key(
        "limits.when_parked_full",
        Kind::Choice(&["hold-back", "stop"]),
        "hold-back",
        "What happens when as much is parked as may be: the partition waits, or the service stops (TM-0512).",
    ),
    key(
        "limits.letter_percent",
        Kind::Count { least: 0, most: 100 },
        "50",
        "So many of a hundred of the newest records may become dead letters; with more, the service stops (TM-0511).",
    ),
    key("limits.letter_window", COUNT, "1000", "How many of the newest records that is measured over, in each worker."),
    key(
        "limits.crash_guard",
        Kind::Choice(&["on", "off"]),
        "on",
        "Whether a record that ends the process again and again is found, and becomes a dead letter (TM-0513).",
    ),
    key(
        "inbox.retention",
        ANY_TIME,
        "24h",
        "For how much of a service's running time the ids of events are kept, so that copies have no effects; `0s` keeps none.",
    ),
    key(
        "inbox.memory",
        SOME_BYTES,
        "128MiB",
        "Memory that those ids may take, in each worker; most of them are on disk.",
    ),
    key(
        "dead_letters.headers",
        Kind::Choice(&["own", "connect", "spring"]),
        "own",
        "Which headers dead letters carry beside our own: none, those of Kafka Connect, or those of Spring for Apache Kafka.",
    ),
    key(
        "log.format",
        Kind::Choice(&["auto", "text", "json"]),
        "auto",
        "The form of the log on standard error; `auto` is text on a terminal and JSON elsewhere.",
    ),
    key(
        "log.level",
        Kind::Levels,
        "info",
        "What is logged: a level, or levels by target such as `info,tidemill=debug`.",
    ),
];

/// What follows failures of one class. `CLASS` stands for its name: each of them is a key for each class.
pub(super) const FAILURES: &[Key] = &[
    key(
        "failures.CLASS.attempts",
        COUNT,
        "4, or 1",
        "Attempts in place, the first included; 1 where another is of no use.",
    ),
    key(
        "failures.CLASS.first_delay",
        ANY_TIME,
        "50ms",
        "The longest delay after the first of them; it doubles with each.",
    ),
    key("failures.CLASS.longest_delay", ANY_TIME, "2s", "No delay between them is longer."),
    key(
        "failures.CLASS.delayed_attempts",
        Kind::Count { least: 0, most: MOST },
        "10, or 0",
        "Attempts after those, for each of which the record is parked; 0 where another is of no use.",
    ),
    key(
        "failures.CLASS.delayed_first",
        ANY_TIME,
        "5s",
        "The longest delay before the first of them; it doubles with each.",
    ),
    key("failures.CLASS.delayed_longest", ANY_TIME, "10m", "No delay between them is longer."),
    key("failures.CLASS.total", ANY_TIME, "1h", "How long after the first failure an attempt may still begin."),
    key(
        "failures.CLASS.then",
        Kind::Choice(&["continue", "hold", "stop"]),
        "continue",
        "What follows when attempts are spent: a dead letter, and its key goes on; a dead letter, and its key waits for an \
         operator; the service stops.",
    ),
];

/// What stands before the keys of failures.
const FAILURE: &str = "failures.";
/// What stands before a handler's own keys.
const HANDLER: &str = "handlers.";

/// A key of failures taken apart: whose it is, the handler's or everybody's, the class, and what of it.
pub(super) fn failure(key: &str) -> Option<(Option<&str>, ErrorClass, &str)> {
    let (handler, rest) = match key.strip_prefix(HANDLER) {
        Some(rest) => {
            let (handler, rest) = rest.split_once(".failures.")?;
            (Some(handler), rest)
        }
        None => (None, key.strip_prefix(FAILURE)?),
    };
    let (class, what) = rest.split_once('.')?;
    Some((handler, ErrorClass::named(class)?, what))
}

/// What is known of a key of failures.
fn failure_key(key: &str) -> Option<&'static Key> {
    let (_, _, what) = failure(key)?;
    FAILURES.iter().find(|known| known.name.rsplit('.').next() == Some(what))
}

/// What stands before the settings of librdkafka.
const CLIENT: &str = "kafka.client.";
/// What is known of each of them; librdkafka knows the rest.
static CLIENT_KEY: Key = key("kafka.client.NAME", Kind::Text, "", "A setting of librdkafka, passed on as it is.");
/// What the names of librdkafka's secrets hold.
const SECRETS: &[&str] = &["password", "secret", "sasl.oauthbearer.config", "ssl.key.pem", "sasl.jaas"];

/// The name that librdkafka has for a key of ours.
pub(super) fn client_setting(key: &str) -> Option<&str> {
    key.strip_prefix(CLIENT).filter(|setting| !setting.is_empty())
}

/// Whether a key's value is nobody's business.
pub(super) fn is_secret(key: &str) -> bool {
    let is_ours = key == REGISTRY_PASSWORD;
    is_ours || client_setting(key).is_some_and(|setting| SECRETS.iter().any(|secret| setting.contains(secret)))
}

/// What stands before a service's own keys.
const SERVICES: &str = "services.";
/// The keys that a service may have of its own.
const OWN: &[&str] = &["workers", "start"];
const OWN_GROUPS: &[&str] = &["limits.", "inbox."];

/// The key called `name`, or, for `services.NAME.KEY`, the one that it stands for in that service.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    if client_setting(name).is_some() {
        return Some(&CLIENT_KEY);
    }
    let (service, general) = split_service(name).map_or((None, name), |(service, key)| (Some(service), key));
    let of_handler = general.starts_with(HANDLER);
    let found = KEYS.iter().find(|key| key.name == general).or_else(|| failure_key(general));
    found.filter(|_| service.is_some() || !of_handler)
}

/// A service's name and its own key. The service's name may hold dots, so the key is looked for from the end.
pub(super) fn split_service(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(SERVICES)?;
    for begin in [HANDLER, FAILURE] {
        let place = rest.match_indices(begin).map(|(place, _)| place).find(|place| rest[..*place].ends_with('.'));
        if let Some(place) = place {
            return Some((&rest[..place - 1], &rest[place..])).filter(|(service, _)| !service.is_empty());
        }
    }
    let mut own = KEYS
        .iter()
        .map(|key| key.name)
        .filter(|key| OWN.contains(key) || OWN_GROUPS.iter().any(|group| key.starts_with(group)));
    own.find_map(|key| {
        let service = rest.strip_suffix(key)?.strip_suffix('.')?;
        (!service.is_empty()).then_some((service, key))
    })
}

/// The name of a service's own key.
pub(super) fn of_service(service: &str, key: &str) -> String {
    format!("{SERVICES}{service}.{key}")
}

/// The known key that is nearest to `name`, if one is near.
pub(super) fn nearest(name: &str) -> Option<String> {
    let service = name.strip_prefix(SERVICES).and_then(|rest| rest.split_once('.'));
    let known = KEYS.iter().map(|key| match service {
        Some((service, _)) => of_service(service, key.name),
        None => key.name.to_owned(),
    });
    let nearest = known.filter(|key| find(key).is_some() && (service.is_none() || split_service(key).is_some()));
    let (distance, nearest) = nearest.map(|key| (distance(name, &key), key)).min()?;
    // Half of a name may be wrong; more is another name.
    (distance * 2 <= name.len().max(2)).then_some(nearest)
}

/// How many characters have to be added, removed or replaced to make `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
