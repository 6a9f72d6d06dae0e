//! The clients that talk to the cluster, each with the settings of its task.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, ProducerContext};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message, TopicPartitionList, message::DeliveryResult};
use tidemill_core::code::{Code, Coded};

use crate::broker::lock;
use crate::failure::Failure;
use crate::native::Signal;
use crate::settings::{GroupProtocol, Settings};

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

/// What the client says of a connection that the broker ends because of our certificate, or for want of one. In TLS 1.3 that comes when
/// the connection stands, and looks as if it broke.
const TLS_ALERT: &str = "SSL alert number";

/// What all clients of one cluster know together: whether it was heard of lately.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    is_lost: AtomicBool,
    is_denied: AtomicBool,
    /// Why a broker sends us away.
    denial: Mutex<Option<String>>,
}

impl Reach {
    /// Nobody answers. Told once, until somebody does.
    pub(crate) fn lost(&self, reason: &str) {
        if !self.is_lost.swap(true, Ordering::AcqRel) {
            tracing::warn!(reason, "no broker answers; trying again until one does");
        }
    }

    /// Why a broker sent us away, if one did: to the client that is as if nobody answered.
    pub(crate) fn denial(&self) -> Option<String> {
        lock(&self.denial).clone()
    }

    /// A broker sends us away. Told once, until one lets us in.
    fn denied(&self, reason: &str) {
        *lock(&self.denial) = Some(reason.to_owned());
        if !self.is_denied.swap(true, Ordering::AcqRel) {
            tracing::warn!(reason, "a broker does not accept us; trying again until one does");
        }
    }

    /// Somebody answered.
    pub(crate) fn back(&self) {
        if self.is_denied.load(Ordering::Relaxed) && self.is_denied.swap(false, Ordering::AcqRel) {
            *lock(&self.denial) = None;
        }
        if self.is_lost.load(Ordering::Relaxed) && self.is_lost.swap(false, Ordering::AcqRel) {
            tracing::info!("a broker answers again");
        }
    }
}

/// How much a client may say at a time.
const MOST_SAID: usize = 64;

/// Takes what a client has to say, its log and its errors, which would gather in its memory otherwise. Clients that read have
/// their records in queues of their own.
pub(crate) fn hear<C: ConsumerContext>(client: &BaseConsumer<C>) {
    for _ in 0..MOST_SAID {
        // Whether there was anything is not told; errors went to the client's context.
        drop(client.poll(Duration::ZERO));
    }
}

/// The context of clients that only log.
#[derive(Clone)]
pub(crate) struct Quiet {
    reach: Arc<Reach>,
    /// Why a record of this producer was not taken. What the broker refuses takes others with it, and may be told after them.
    refused: Arc<Mutex<Option<Failure>>>,
}

impl Quiet {
    /// Why a record of this producer was not taken, if there ever was one.
    pub(crate) fn refused(&self) -> Option<Failure> {
        lock(&self.refused).clone()
    }
}

fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "{text}");
        }
        // A broker that goes away is an error to the client and daily bread to us; `Reach` says it once.
        _ => tracing::debug!(facility, "{text}"),
    }
}

fn on_error(reach: &Reach, error: &KafkaError, reason: &str) {
    use RDKafkaErrorCode as E;
    match error.rdkafka_error_code() {
        Some(E::AllBrokersDown) => reach.lost(reason),
        Some(E::Authentication | E::SaslAuthenticationFailed | E::SSL) => reach.denied(reason),
        Some(E::BrokerTransportFailure) if reason.contains(TLS_ALERT) => reach.denied(reason),
        _ => tracing::debug!(%error, reason, "client error"),
    }
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        on_error(&self.reach, &error, reason);
    }
}

impl ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            let failure =
                Failure::new(code, format!("a record for {} [{}]: {error}", message.topic(), message.partition()));
            let mut known = lock(&self.refused);
            if known.is_none() || failure.is_refusal() {
                tracing::debug!("{failure}");
                *known = Some(failure);
            }
        }
    }
}

/// What the group said about partitions, to be answered by the member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rebalance {
    Assign(Vec<(String, i32)>),
    Revoke(Vec<(String, i32)>),
}

/// The context of a group's client: a rebalance is only written down, and answered when the worker is done with it.
pub(crate) struct Seat {
    reach: Arc<Reach>,
    rebalances: Mutex<VecDeque<Rebalance>>,
    signal: Arc<Signal>,
    /// Nobody will answer any more: rebalances are answered at once.
    is_over: AtomicBool,
}

impl Seat {
    pub(crate) fn next(&self) -> Option<Rebalance> {
        lock(&self.rebalances).pop_front()
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }
}

impl ClientContext for Seat {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        on_error(&self.reach, &error, reason);
    }
}

impl ConsumerContext for Seat {
    fn rebalance(&self, client: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = list.elements().iter().map(|found| (found.topic().to_owned(), found.partition())).collect();
        let assigns = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.is_over.load(Ordering::Acquire) {
            return let_pass(client, assigns, list);
        }
        let found = if assigns { Rebalance::Assign(partitions) } else { Rebalance::Revoke(partitions) };
        lock(&self.rebalances).push_back(found);
        self.signal.tell();
    }
}

/// Answers a rebalance on behalf of a member that is about to go. Only what nobody has answered may be answered so: the group goes
/// on with the answer, and may be left while this still asks it.
pub(crate) fn let_pass(client: &BaseConsumer<Seat>, assigns: bool, list: &TopicPartitionList) {
    let answer = match client.rebalance_protocol() {
        RebalanceProtocol::Cooperative if assigns => client.incremental_assign(list),
        RebalanceProtocol::Cooperative => client.incremental_unassign(list),
        _ => client.unassign(),
    };
    if let Err(error) = answer {
        tracing::debug!(%error, "a rebalance at the end could not be answered");
    }
}

/// Makes clients for one cluster.
#[derive(Clone)]
pub(crate) struct Clients {
    settings: Settings,
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
        Ok(Self { settings, reach: Arc::default() })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn context(&self) -> Quiet {
        Quiet { reach: Arc::clone(&self.reach), refused: Arc::default() }
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
        config.create_with_context(self.context()).map_err(|error| cannot_open(error, "a client"))
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
        config.create_with_context(self.context()).map_err(|error| cannot_open(error, "a reader"))
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
        let seat = Seat {
            reach: Arc::clone(&self.reach),
            rebalances: Mutex::default(),
            signal: Arc::clone(signal),
            is_over: AtomicBool::new(false),
        };
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
        config.create_with_context(self.context()).map_err(|error| cannot_open(error, "a producer"))
    }

    /// A producer of single records, sent at once.
    pub(crate) fn plain_producer(&self) -> Result<Producer, Coded> {
        let mut suits = ClientConfig::new();
        suits.set("linger.ms", "0");
        let mut config = self.over(suits);
        config.set("delivery.report.only.error", "true");
        config.create_with_context(self.context()).map_err(|error| cannot_open(error, "a producer"))
    }

    /// The settings of a client that creates topics.
    pub(crate) fn admin(&self) -> ClientConfig {
        self.base()
    }
}

fn cannot_open(error: KafkaError, what: &str) -> Coded {
    let failure = Failure::from(error);
    Coded::new(Code::BAD_VALUE, format!("{what} for Kafka cannot be made: {failure}"))
}
