//! What clients tell, and who listens: logs, errors, rebalances, records that were not taken.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message, TopicPartitionList, message::DeliveryResult};

use crate::broker::lock;
use crate::failure::Failure;
use crate::native::Signal;
use crate::token::Token;

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

/// What a client tells, to whoever listens to it: `T` keeps what is of its task.
#[derive(Clone)]
pub(crate) struct Context<T> {
    reach: Arc<Reach>,
    token: Token,
    own: T,
}

impl<T> Context<T> {
    pub(crate) fn new(reach: &Arc<Reach>, token: &Token, own: T) -> Self {
        Self { reach: Arc::clone(reach), token: token.clone(), own }
    }
}

impl<T: Send + Sync + 'static> ClientContext for Context<T> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.token.read()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        on_error(&self.reach, &error, reason);
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

/// The context of clients that only log, and of producers.
pub(crate) type Quiet = Context<Refused>;

/// Why a record of a producer was not taken. What the broker refuses takes others with it, and may be told after them.
#[derive(Clone, Default)]
pub(crate) struct Refused(Arc<Mutex<Option<Failure>>>);

impl Quiet {
    /// Why a record of this producer was not taken, if there ever was one.
    pub(crate) fn refused(&self) -> Option<Failure> {
        lock(&self.own.0).clone()
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
            let mut known = lock(&self.own.0);
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
pub(crate) type Seat = Context<Rebalances>;

/// What the group said, in order.
pub(crate) struct Rebalances {
    told: Mutex<VecDeque<Rebalance>>,
    signal: Arc<Signal>,
    /// Nobody will answer any more: rebalances are answered at once.
    is_over: AtomicBool,
}

impl Rebalances {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self { told: Mutex::default(), signal, is_over: AtomicBool::new(false) }
    }
}

impl Seat {
    pub(crate) fn next(&self) -> Option<Rebalance> {
        lock(&self.own.told).pop_front()
    }

    pub(crate) fn end(&self) {
        self.own.is_over.store(true, Ordering::Release);
    }
}

impl ConsumerContext for Seat {
    fn rebalance(&self, client: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = list.elements().iter().map(|found| (found.topic().to_owned(), found.partition())).collect();
        let assigns = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.own.is_over.load(Ordering::Acquire) {
            return let_pass(client, assigns, list);
        }
        let found = if assigns { Rebalance::Assign(partitions) } else { Rebalance::Revoke(partitions) };
        lock(&self.own.told).push_back(found);
        self.own.signal.tell();
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
