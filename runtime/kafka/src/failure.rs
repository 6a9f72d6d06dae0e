//! What librdkafka answers when something does not work, and what that means to us.

use std::fmt::{self, Display};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tidemill_core::code::{Code, Coded};

/// An error of librdkafka with what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) text: String,
    /// The client cannot be used any more.
    pub(crate) is_fatal: bool,
    /// The same call may be tried again.
    pub(crate) is_retriable: bool,
    /// The transaction has to be aborted.
    pub(crate) wants_abort: bool,
}

impl Failure {
    pub(crate) fn new(code: RDKafkaErrorCode, text: impl Display) -> Self {
        let text = text.to_string();
        Self { code, text, is_fatal: false, is_retriable: false, wants_abort: false }
    }

    /// Whether the cluster could not be reached, or a part of it is on its way to another broker: the same may work later.
    pub(crate) fn is_absence(&self) -> bool {
        use RDKafkaErrorCode as E;
        matches!(
            self.code,
            E::BrokerTransportFailure
                | E::AllBrokersDown
                | E::Resolve
                | E::OperationTimedOut
                | E::MessageTimedOut
                | E::WaitingForCoordinator
                | E::WaitCache
                | E::Retry
                | E::TimedOutQueue
                | E::RequestTimedOut
                | E::BrokerNotAvailable
                | E::NetworkException
                | E::LeaderNotAvailable
                | E::NotLeaderForPartition
                | E::CoordinatorLoadInProgress
                | E::CoordinatorNotAvailable
                | E::NotCoordinator
                | E::NotEnoughReplicas
                | E::UnstableOffsetCommit
        ) || (self.is_retriable && !self.is_fatal)
    }

    /// Whether the group says that its partitions are somebody else's.
    pub(crate) fn is_group_fence(&self) -> bool {
        use RDKafkaErrorCode as E;
        matches!(
            self.code,
            E::IllegalGeneration
                | E::UnknownMemberId
                | E::FencedInstanceId
                | E::FencedMemberEpoch
                | E::RebalanceInProgress
        )
    }

    /// Whether a record is not taken, and will not be when it is sent again.
    pub(crate) fn is_refusal(&self) -> bool {
        use RDKafkaErrorCode as E;
        matches!(
            self.code,
            E::MessageSizeTooLarge
                | E::MessageBatchTooLarge
                | E::InvalidRecord
                | E::InvalidTimestamp
                | E::TopicAuthorizationFailed
        )
    }

    /// Whether another producer with the same transactional id took over.
    pub(crate) fn is_producer_fence(&self) -> bool {
        use RDKafkaErrorCode as E;
        matches!(self.code, E::Fenced | E::ProducerFenced | E::InvalidProducerEpoch)
    }

    /// The error as an operator reads it: what was tried, and what the broker says.
    pub(crate) fn coded(&self, what: impl Display) -> Coded {
        use RDKafkaErrorCode as E;
        let code = match self.code {
            E::UnknownTopic | E::UnknownTopicOrPartition | E::UnknownPartition => Code::TOPIC_MISSING,
            E::TopicAuthorizationFailed
            | E::GroupAuthorizationFailed
            | E::ClusterAuthorizationFailed
            | E::TransactionalIdAuthorizationFailed => Code::NOT_AUTHORISED,
            E::Authentication | E::SaslAuthenticationFailed | E::SSL => Code::NOT_AUTHENTICATED,
            _ if self.is_absence() => Code::BROKER_UNREACHABLE,
            _ => Code::BACKEND_FAILED,
        };
        Coded::new(code, format!("{what}: {self}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text, self.code)
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        if let KafkaError::Transaction(inner) = &error {
            return Self {
                code: inner.code(),
                text: inner.string(),
                is_fatal: inner.is_fatal(),
                is_retriable: inner.is_retriable(),
                wants_abort: inner.txn_requires_abort(),
            };
        }
        Self::new(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail), &error)
    }
}
