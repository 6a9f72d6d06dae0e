//! The table of all configuration keys. Parsing and `config show` come from it, and a test holds the table in
//! `docs/CONFIGURATION.md` to it.

use crate::config::value::Kind;

/// What is known of one key.
pub(in crate::config) struct Key {
    /// Its name, levels separated by dots.
    pub(in crate::config) name: &'static str,
    /// What its values look like.
    pub(in crate::config) kind: Kind,
    /// Its value where no layer gives one.
    pub(in crate::config) default: &'static str,
    /// What it does, in one line.
    pub(in crate::config) meaning: &'static str,
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

pub(super) const fn key(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, default, meaning }
}

/// The secrets among the keys of our own.
pub(super) const REGISTRY_PASSWORD: &str = "registry.password";
pub(super) const POSTGRES_PASSWORD: &str = "postgres.password";

/// Every key there is.
pub(in crate::config) const KEYS: &[Key] = &[
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
        "state",
        Kind::Text,
        "broker",
        "Where services keep their state and progress: with the `broker`, or in the database `postgres://USER@HOST:PORT/DATABASE`. \
         Programs that are no services may keep rows in `embedded:DIR`.",
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
    key("snapshots", Kind::Text, "none", "The folder in which snapshots of state lie, which replays begin with."),
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
    key("postgres.schema", Kind::Text, "tidemill", "The schema that the runtime's tables lie in."),
    key(
        POSTGRES_PASSWORD,
        Kind::Text,
        "none",
        "The password, instead of one in the URL; `file:PATH` reads it from a file.",
    ),
    key(
        "postgres.connections",
        FEW,
        "16",
        "Connections of each worker, beside one by which it takes shards: as many units commit at the same time.",
    ),
    key(
        "postgres.lock_timeout",
        SOME_TIME,
        "1s",
        "How long who takes a shard over waits for the former owner's commits, before it ends that one's connections.",
    ),
    key(
        "outbox.relay",
        Kind::Choice(&["on", "off"]),
        "on",
        "Whether this process relays the outbox where it runs services; with `off`, `relay run` has to run somewhere.",
    ),
    key(
        "outbox.name",
        Kind::Text,
        "none",
        "What the relay publishes under, as `NAME.relay`: each outbox that is relayed to a cluster needs one of its own. `none` takes \
         `postgres.schema`.",
    ),
    key("outbox.lease", SOME_TIME, "5s", "After what time another relay goes on where one is silent."),
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
    key(
        "limits.timers",
        COUNT,
        "1000",
        "Timers of one shard that are read at once, the next ones. Twice as many are in memory at the most.",
    ),
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
        "journal",
        Kind::Choice(&["on", "off"]),
        "on",
        "Whether services keep a journal of what they did, in what order and when, which a replay follows.",
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
pub(in crate::config) const FAILURES: &[Key] = &[
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
