//! The clients that talk to the cluster, each with the settings of its task.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::BaseProducer;
use tidemill_core::code::{Code, Coded};

use crate::context::{Context, Quiet, Reach, Rebalances, Refused, Seat, hear};
use crate::failure::Failure;
use crate::native::{self, Signal};
use crate::settings::{GroupProtocol, Settings};
use crate::token::Token;

/// Settings of librdkafka that the runtime has to choose itself, since its promises hang on them.
const OWNED: &[&str] = &[
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "isolation.level",
    "partition.assignment.strategy",
    "transactional.id",
    "transaction.timeout.ms",
];

/// How long the client lets new records gather before it sends them: its thread wakes up that often. A commit flushes what is left,
/// so nobody waits for this.
const LINGER_MS: &str = "5";
/// The largest request of a producer; what a topic takes is the broker's to say.
const MOST_REQUEST_BYTES: &str = "104857600";
/// One batch stays below what a topic takes by default.
const BATCH_BYTES: &str = "1000000";

/// Makes clients for one cluster.
#[derive(Clone)]
pub(crate) struct Clients {
    settings: Settings,
    token: Token,
    pub(crate) reach: Arc<Reach>,
}

pub(crate) type Plain = BaseConsumer<Quiet>;
pub(crate) type Producer = BaseProducer<Quiet>;

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

impl Clients {
    /// Settings that are the runtime's own are refused.
    pub(crate) fn new(settings: Settings) -> Result<Self, Coded> {
        if let Some((name, _)) = settings.client.iter().find(|(name, _)| OWNED.contains(&name.as_str())) {
            let message = format!("kafka.client.{name} is chosen by the runtime: its promises hang on it");
            return Err(Coded::new(Code::BAD_VALUE, message));
        }
        let is_plaintext = |(name, value): &(String, String)| {
            name == "security.protocol" && value.trim().eq_ignore_ascii_case("sasl_plaintext")
        };
        if !settings.allow_sasl_plaintext && settings.client.iter().any(is_plaintext) {
            let message = "kafka.client.security.protocol = sasl_plaintext sends passwords over connections that anybody on the \
                           way can read; use sasl_ssl, or set kafka.allow_sasl_plaintext=true";
            return Err(Coded::new(Code::BAD_VALUE, message));
        }
        native::share_pools();
        let token = Token::new(settings.token_file.as_deref());
        Ok(Self { settings, token, reach: Arc::default() })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn context(&self) -> Quiet {
        Context::new(&self.reach, &self.token, Refused::default())
    }

    /// A client that reads, or asks. What it has to say is taken at once: before it has a token, it waits for that.
    fn consumer(&self, config: &ClientConfig, what: &str) -> Result<Plain, Coded> {
        let client: Plain = config.create_with_context(self.context()).map_err(|error| cannot_open(error, what))?;
        hear(&client);
        Ok(client)
    }

    fn own_producer(&self, config: &ClientConfig) -> Result<Producer, Coded> {
        let producer: Producer =
            config.create_with_context(self.context()).map_err(|error| cannot_open(error, "a producer"))?;
        producer.poll(Duration::ZERO);
        Ok(producer)
    }

    /// What all clients have in common.
    fn base(&self) -> ClientConfig {
        self.over(ClientConfig::new())
    }

    /// The same over what suits a task. What the user set wins over both, and not over what a task needs.
    fn over(&self, mut config: ClientConfig) -> ClientConfig {
        config.set("bootstrap.servers", &self.settings.brokers);
        config.set("allow.auto.create.topics", "false");
        config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        config.set("log.connection.close", "false");
        for (name, value) in &self.settings.client {
            config.set(name, value);
        }
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// A client that asks about topics, positions and groups. It sees records that are not committed, and so the true ends.
    pub(crate) fn plain(&self, group: Option<&str>) -> Result<Plain, Coded> {
        let mut config = self.base();
        config.set("isolation.level", "read_uncommitted").set("enable.auto.commit", "false");
        if let Some(group) = group {
            // Committed offsets count where no transaction is open on them.
            config.set("group.id", group).set("isolation.level", "read_committed");
        }
        self.consumer(&config, "a client")
    }

    /// A client that reads partitions which it is given one by one. It knows the group by name and never joins it.
    pub(crate) fn reader(&self, group: &str, partitions: usize) -> Result<Plain, Coded> {
        /// Below this, one fetch of a partition would bring next to nothing.
        const LEAST_KIB: usize = 64;
        let share = (self.settings.fetch_ahead / 1024 / partitions.max(1)).max(LEAST_KIB);
        let mut suits = ClientConfig::new();
        // Fetched records wait in memory that is bounded by bytes; a client that is idle asks again soon.
        suits.set("queued.min.messages", "10000000").set("queued.max.messages.kbytes", share.to_string());
        suits.set("fetch.message.max.bytes", (share * 1024).min(1024 * 1024).to_string());
        suits.set("fetch.wait.max.ms", "100").set("fetch.queue.backoff.ms", "5").set("fetch.error.backoff.ms", "100");
        let mut config = self.over(suits);
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("isolation.level", "read_committed").set("auto.offset.reset", "error");
        config.set("enable.partition.eof", "true");
        config.set_log_level(RDKafkaLogLevel::Info);
        self.consumer(&config, "a reader")
    }

    /// A member's client. It joins the group and reads nothing.
    pub(crate) fn member(&self, group: &str, name: &str, signal: &Arc<Signal>) -> Result<BaseConsumer<Seat>, Coded> {
        let settings = &self.settings;
        // A member that hangs is out of the group when its drain would be over; the client wants no less than the session.
        let patience = (settings.drain * 3 / 2).max(settings.session_timeout);
        let mut config = self.base();
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("isolation.level", "read_committed").set("max.poll.interval.ms", millis(patience));
        config.set("queued.min.messages", "1").set("auto.offset.reset", "latest");
        if settings.static_members {
            config.set("group.instance.id", name);
        }
        match settings.protocol {
            GroupProtocol::Classic => {
                config.set("partition.assignment.strategy", "range");
                config.set("session.timeout.ms", millis(settings.session_timeout));
                config.set("heartbeat.interval.ms", millis(settings.heartbeat));
            }
            GroupProtocol::Consumer => {
                config.set("group.protocol", "consumer").set("group.remote.assignor", "range");
            }
        }
        let seat = Context::new(&self.reach, &self.token, Rebalances::new(Arc::clone(signal)));
        let client: BaseConsumer<Seat> =
            config.create_with_context(seat).map_err(|error| cannot_open(error, "a member's client"))?;
        Ok(client)
    }

    /// A producer of transactions.
    pub(crate) fn producer(&self, transactional_id: &str) -> Result<Producer, Coded> {
        let mut suits = ClientConfig::new();
        suits.set("linger.ms", LINGER_MS).set("batch.size", BATCH_BYTES);
        suits.set("batch.num.messages", "1000000").set("message.max.bytes", MOST_REQUEST_BYTES);
        suits.set("queue.buffering.max.messages", "10000000").set("queue.buffering.max.kbytes", "2097151");
        // After a commit the next transaction meets CONCURRENT_TRANSACTIONS for a moment, and sleeps for so long.
        suits.set("retry.backoff.ms", "1");
        let mut config = self.over(suits);
        config.set("transactional.id", transactional_id).set("delivery.report.only.error", "true");
        config.set("transaction.timeout.ms", millis(self.settings.transaction_timeout));
        config.set_log_level(RDKafkaLogLevel::Info);
        self.own_producer(&config)
    }

    /// A producer of single records, sent at once.
    pub(crate) fn plain_producer(&self) -> Result<Producer, Coded> {
        let mut suits = ClientConfig::new();
        suits.set("linger.ms", "0");
        let mut config = self.over(suits);
        config.set("delivery.report.only.error", "true");
        self.own_producer(&config)
    }

    /// A client that creates topics, and asks for their settings.
    pub(crate) fn admin(&self) -> Result<AdminClient<Quiet>, Failure> {
        let admin: AdminClient<Quiet> = self.base().create_with_context(self.context())?;
        if self.settings.token_file.is_some() {
            let given = self.token.read().map_err(|error| error.to_string());
            given
                .and_then(|token| native::give_token(admin.inner(), &token))
                .map_err(|reason| Failure::new(RDKafkaErrorCode::Authentication, reason))?;
        }
        Ok(admin)
    }
}

fn cannot_open(error: KafkaError, what: &str) -> Coded {
    let failure = Failure::from(error);
    Coded::new(Code::BAD_VALUE, format!("{what} for Kafka cannot be made: {failure}"))
}
