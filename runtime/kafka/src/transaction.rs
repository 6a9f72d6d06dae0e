//! One member's transactions: everything of a commit, or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;
use tidemill_core::code::{Code, Coded};
use tidemill_core::headers::Headers;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Answer, Change};
use tidemill_core::time::Timestamp;

use crate::access::Access;
use crate::client::{Clients, Producer};
use crate::failure::Failure;
use crate::native::{self, Outgoing, Target};

/// How long the client is left alone with records that are on their way: one that was refused counts among them until somebody
/// has taken note of it.
const STEP: Duration = Duration::from_millis(50);

/// A shard, and its records of the changelog.
pub(crate) type Changed = (u32, Vec<Change>);

/// What one transaction holds.
pub(crate) struct Content<'a> {
    pub(crate) outputs: &'a Outputs,
    /// The changelog, and the changes of each shard: the shard's number is the partition.
    pub(crate) changes: Option<(&'a str, &'a [Changed])>,
    /// Offsets, and by what the broker checks that the owner sends them.
    pub(crate) offsets: Option<(&'a TopicPartitionList, &'a ConsumerGroupMetadata)>,
    /// The timestamp of changelog records.
    pub(crate) now: Timestamp,
}

/// The transactions of one transactional id.
pub(crate) struct Transactions {
    clients: Clients,
    id: String,
    producer: Option<Producer>,
    targets: BTreeMap<Arc<str>, Target>,
    /// When another producer of this id was noticed last.
    fenced: Option<Timestamp>,
    /// Why no more transactions are made.
    broken: Option<Coded>,
}

impl Transactions {
    pub(crate) fn new(clients: Clients, id: String) -> Self {
        Self { clients, id, producer: None, targets: BTreeMap::new(), fenced: None, broken: None }
    }

    /// Why no more transactions are made, if it came to that.
    pub(crate) fn broken(&self) -> Option<Coded> {
        self.broken.clone()
    }

    fn patience(&self) -> Duration {
        self.clients.settings().transaction_timeout
    }

    /// No more transactions are made, for this reason.
    pub(crate) fn break_off(&mut self, cause: Coded) {
        self.broken = Some(cause);
    }

    /// Commits all of it, or nothing.
    pub(crate) fn run(&mut self, content: &Content<'_>) -> Answer {
        if let Some(cause) = &self.broken {
            return Answer::NotCommitted(cause.clone());
        }
        if let Err(failure) = self.begin() {
            return self.not_committed(&failure, content.now);
        }
        if let Err(failure) = self.fill(content) {
            return self.undo(&failure, content.now);
        }
        self.end(content.now)
    }

    /// Opens the producer where there is none, which ends what an earlier one of this id left open.
    pub(crate) fn open(&mut self, now: Timestamp) -> Result<(), Coded> {
        match self.broken() {
            Some(cause) => Err(cause),
            None => self.producer().map(drop).map_err(|failure| self.cause(&failure, now)),
        }
    }

    /// Opens the transaction.
    fn begin(&mut self) -> Result<(), Failure> {
        let producer = self.producer()?;
        // What it has to say would gather in its memory.
        producer.poll(Duration::ZERO);
        producer.context().begin();
        Ok(producer.begin_transaction()?)
    }

    fn producer(&mut self) -> Result<&Producer, Failure> {
        if self.producer.is_none() {
            let opened = self.clients.producer(&self.id);
            let producer = opened.map_err(|cause| Failure::new(RDKafkaErrorCode::InvalidArgument, cause))?;
            producer.init_transactions(self.patience())?;
            self.clients.reach.back();
            self.producer = Some(producer);
        }
        Ok(self.producer.as_ref().expect("opened above"))
    }

    fn fill(&mut self, content: &Content<'_>) -> Result<(), Failure> {
        let Self { producer: Some(producer), targets, clients, .. } = self else {
            unreachable!("a transaction was begun")
        };
        let client = producer.client();
        for output in content.outputs.iter() {
            if !targets.contains_key(output.topic) {
                targets.insert(Arc::clone(output.topic), Target::new(output.topic));
            }
            let headers = Headers::from_bytes(Bytes::copy_from_slice(output.headers));
            let record = Outgoing {
                target: &targets[output.topic],
                partition: output.partition,
                timestamp: output.timestamp.as_millis(),
                key: output.key,
                value: output.value,
                headers: &headers,
            };
            native::produce(client, &record)?;
        }
        if let Some((changelog, shards)) = content.changes {
            let (target, headers) = (Target::new(changelog), Headers::default());
            for (shard, changes) in shards {
                for change in changes {
                    let record = Outgoing {
                        target: &target,
                        partition: *shard,
                        timestamp: content.now.as_millis(),
                        key: Some(&change.key),
                        value: change.value.as_deref(),
                        headers: &headers,
                    };
                    native::produce(client, &record)?;
                }
            }
        }
        if let Some((offsets, fence)) = content.offsets {
            producer.send_offsets_to_transaction(offsets, fence, clients.settings().transaction_timeout)?;
        }
        Ok(())
    }

    /// Ends the transaction well. What the client cannot say, nobody can.
    fn end(&mut self, now: Timestamp) -> Answer {
        // With a refused record the client says at once that it wants to abort.
        let patience = if self.deliver() { self.patience() } else { STEP };
        match native::commit(self.opened().client(), patience) {
            Ok(()) => {
                self.clients.reach.back();
                Answer::Committed
            }
            Err(failure) if failure.wants_abort => self.undo(&failure, now),
            Err(failure) => self.unknown(&failure, now),
        }
    }

    fn opened(&self) -> &Producer {
        self.producer.as_ref().expect("a transaction was begun")
    }

    /// Waits until every record was taken, and tells whether it came to that. The calls that end a transaction wait for that too,
    /// and come back without an end where nobody takes note meanwhile of a record that was refused. Called again, they may take
    /// the answer to one call for that to another, and so does whatever comes after; so each is called once.
    fn deliver(&self) -> bool {
        let (producer, mut left) = (self.opened(), self.patience());
        while !native::flush(producer.client(), STEP) {
            producer.poll(Duration::ZERO);
            if left.is_zero() || producer.context().has_failed() {
                return false;
            }
            left = left.saturating_sub(STEP);
        }
        true
    }

    /// The transaction did not come to its end, so it will not be committed.
    fn undo(&mut self, failure: &Failure, now: Timestamp) -> Answer {
        let patience = self.patience();
        if failure.is_fatal || !self.deliver() || self.opened().abort_transaction(patience).is_err() {
            // The next producer of this id ends it.
            self.producer = None;
        }
        self.not_committed(failure, now)
    }

    fn not_committed(&mut self, failure: &Failure, now: Timestamp) -> Answer {
        let cause = self.cause(failure, now);
        if failure.is_group_fence() {
            Answer::Fenced(cause)
        } else if failure.is_refusal() {
            Answer::Refused(cause)
        } else {
            Answer::NotCommitted(cause)
        }
    }

    fn unknown(&mut self, failure: &Failure, now: Timestamp) -> Answer {
        self.producer = None;
        Answer::Unknown(self.cause(failure, now))
    }

    /// The failure as an operator reads it. A producer that was fenced twice in short time has a twin.
    fn cause(&mut self, failure: &Failure, now: Timestamp) -> Coded {
        if failure.code == RDKafkaErrorCode::TransactionalIdAuthorizationFailed {
            return Access::Transactions(&self.id).denied(self.clients.settings());
        }
        if !failure.is_producer_fence() {
            return failure.coded(format!("a transaction of {}", self.id));
        }
        self.producer = None;
        let again = self.fenced.is_some_and(|last| now.since(last) < self.clients.settings().session_timeout);
        self.fenced = Some(now);
        let message = format!("another process commits as {}; every instance needs a name of its own", self.id);
        let cause = Coded::new(Code::DUPLICATE_INSTANCE, message);
        if again {
            self.broken = Some(cause.clone());
        }
        cause
    }
}
