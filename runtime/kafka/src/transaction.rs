//! One member's transactions: everything of a commit, or nothing.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;
use tidemill_core::code::{Code, Coded};
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Answer, Change};
use tidemill_core::time::Timestamp;

use crate::access::Access;
use crate::client::{Clients, Producer};
use crate::failure::Failure;
use crate::native::{self, Outgoing, Packed, Target};

/// How long the client is left alone with records that are on their way: one that was refused counts among them until somebody
/// has taken note of it.
const STEP: Duration = Duration::from_millis(50);

/// Bytes that may wait in the client to be sent. What is there takes twice as much memory, and is sent no sooner if more waits.
const MOST_WAITING: usize = 2 * 1024 * 1024;
/// Records between two looks at how many wait.
const LOOK_EVERY: usize = 64;
/// How long the next record waits for earlier ones to be sent, before another look.
const TICK: Duration = Duration::from_millis(1);
/// How records are packed that have to fit into a topic as small as the one they came from. It is the one that packs best of those that
/// they may have come with.
const CODEC: &str = "zstd";

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

/// Hands the records of one transaction to the client, no faster than it sends them.
struct Sending<'a> {
    producer: &'a Producer,
    records: usize,
    bytes: usize,
}

impl Sending<'_> {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), Failure> {
        native::produce(self.producer.client(), record)?;
        self.records += 1;
        self.bytes += record.size();
        if self.records.is_multiple_of(LOOK_EVERY) {
            self.wait();
        }
        Ok(())
    }

    /// Waits until there is room. A record that is not taken in time, or was refused, ends that; the commit answers why.
    fn wait(&self) {
        let room = MOST_WAITING / (self.bytes / self.records).max(1);
        while native::waiting(self.producer.client()) > room && self.producer.context().refused().is_none() {
            std::thread::park_timeout(TICK);
            self.producer.poll(Duration::ZERO);
        }
    }
}

/// The transactions of one transactional id.
pub(crate) struct Transactions {
    clients: Clients,
    id: String,
    /// The topic of dead letters, if there is one: a record that came in packed may be larger than any topic takes.
    letters: Option<String>,
    /// It has to go before the producer.
    packed: Option<Packed>,
    producer: Option<Producer>,
    /// When another producer of this id was noticed last.
    fenced: Option<Timestamp>,
    /// Why no more transactions are made.
    broken: Option<Coded>,
    /// Whether the id belongs to whoever took it last: it is never opened by itself again, as that would put out a successor.
    is_taken: bool,
}

impl Transactions {
    pub(crate) fn new(clients: Clients, id: String, letters: Option<String>) -> Self {
        Self { clients, id, letters, packed: None, producer: None, fenced: None, broken: None, is_taken: false }
    }

    /// Of an id that is handed on. Nothing is sent before it is taken, nor after it failed or was taken by somebody else.
    pub(crate) fn taken(clients: Clients, id: String) -> Self {
        let message = format!("nobody here has taken {id}");
        let broken = Some(Coded::new(Code::FENCED, message));
        Self { is_taken: true, broken, ..Self::new(clients, id, None) }
    }

    /// Takes the id from whoever had it: what is open under it is ended.
    pub(crate) fn take(&mut self, now: Timestamp) -> Result<(), Coded> {
        self.close();
        self.broken = None;
        let taken = self.open(now);
        if let Err(cause) = &taken {
            self.broken = Some(Coded::new(Code::FENCED, cause.message.clone()));
        }
        taken
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
        if let Some(cause) = self.broken() {
            return if cause.code == Code::FENCED { Answer::Fenced(cause) } else { Answer::NotCommitted(cause) };
        }
        if let Err(failure) = self.begin() {
            return self.not_committed(&failure, content.now);
        }
        if let Err(failure) = self.fill(content) {
            return self.undo(&self.reason(failure), content.now);
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

    fn close(&mut self) {
        self.packed = None;
        self.producer = None;
    }

    /// Opens the transaction.
    fn begin(&mut self) -> Result<(), Failure> {
        let producer = self.producer()?;
        // What it has to say would gather in its memory.
        producer.poll(Duration::ZERO);
        Ok(producer.begin_transaction()?)
    }

    fn producer(&mut self) -> Result<&Producer, Failure> {
        if self.producer.is_none() {
            let opened = self.clients.producer(&self.id);
            let producer = opened.map_err(|cause| Failure::new(RDKafkaErrorCode::InvalidArgument, cause))?;
            producer.init_transactions(self.patience())?;
            self.clients.reach.back();
            let letters = self.letters.as_ref().filter(|topic| self.clients.settings().packs(topic));
            self.packed = letters.and_then(|topic| Packed::new(producer.client(), topic, CODEC));
            self.producer = Some(producer);
        }
        Ok(self.producer.as_ref().expect("opened above"))
    }

    fn fill(&self, content: &Content<'_>) -> Result<(), Failure> {
        let Self { producer: Some(producer), clients, .. } = self else { unreachable!("a transaction was begun") };
        let mut sending = Sending { producer, records: 0, bytes: 0 };
        // Outputs of few topics, each with one name for all its records.
        let mut targets: Vec<(&Arc<str>, Target)> = Vec::new();
        for output in content.outputs.iter() {
            let known = targets.iter().position(|(topic, _)| Arc::ptr_eq(topic, output.topic));
            let place = known.unwrap_or_else(|| {
                targets.push((output.topic, Target::new(output.topic)));
                targets.len() - 1
            });
            sending.send(&Outgoing {
                target: &targets[place].1,
                partition: output.partition,
                timestamp: output.timestamp.as_millis(),
                key: output.key,
                value: output.value,
                headers: output.headers,
            })?;
        }
        if let Some((changelog, shards)) = content.changes {
            let target = Target::new(changelog);
            for (shard, changes) in shards {
                for change in changes {
                    sending.send(&Outgoing {
                        target: &target,
                        partition: *shard,
                        timestamp: content.now.as_millis(),
                        key: Some(&change.key),
                        value: change.value.as_deref(),
                        headers: &[],
                    })?;
                }
            }
        }
        if let Some((offsets, fence)) = content.offsets {
            producer.send_offsets_to_transaction(offsets, fence, clients.settings().transaction_timeout)?;
        }
        Ok(())
    }

    /// Why a transaction cannot go on. After a record was refused, the client answers whatever comes by the state that this left; the
    /// report of the record itself may be on its way.
    fn reason(&self, failure: Failure) -> Failure {
        if failure.code != RDKafkaErrorCode::State {
            return failure;
        }
        let (producer, mut left) = (self.opened(), STEP);
        while !left.is_zero() {
            producer.poll(TICK);
            if let Some(refused) = producer.context().refused().filter(Failure::is_refusal) {
                return refused;
            }
            left = left.saturating_sub(TICK);
        }
        failure
    }

    /// Ends the transaction well. What the client cannot say, nobody can.
    fn end(&mut self, now: Timestamp) -> Answer {
        if let Err(failure) = self.deliver() {
            return self.undo(&failure, now);
        }
        match native::commit(self.opened().client(), self.patience()) {
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

    /// Waits until every record was taken, or one was refused. The call that commits waits for that too, and comes back without an
    /// end where a refused one is not taken note of meanwhile. Called again, it may take the answer to the first call for that to
    /// the second, and so does whatever comes after; so it is called once, when it has nothing to wait for.
    fn deliver(&self) -> Result<(), Failure> {
        let (producer, mut left) = (self.opened(), self.patience());
        while !native::flush(producer.client(), STEP) {
            if left.is_zero() {
                return Err(Failure::new(RDKafkaErrorCode::OperationTimedOut, "records are not taken"));
            }
            left = left.saturating_sub(STEP);
            producer.poll(Duration::ZERO);
            if let Some(refused) = producer.context().refused() {
                // The rest is not sent any more. Where it was not the broker that refused it, the commit tells the reason.
                return if refused.is_refusal() { Err(refused) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// The transaction did not come to its end, and will not: the next producer of this id ends it, so that is opened now. The
    /// client's own way of aborting waits for records that it does not send any more.
    fn undo(&mut self, failure: &Failure, now: Timestamp) -> Answer {
        self.close();
        let answer = self.not_committed(failure, now);
        // Where this id has a twin, opening another would put that one out.
        if self.broken.is_none()
            && let Err(failure) = self.producer()
        {
            tracing::debug!(id = self.id, "no new producer yet: {failure}");
        }
        answer
    }

    /// An id that is handed on is not opened again after a failure.
    fn lay_down(&mut self, failure: &Failure) {
        if self.is_taken {
            self.close();
            let message = format!("{} has to be taken again: {failure}", self.id);
            self.broken = Some(Coded::new(Code::FENCED, message));
        }
    }

    fn not_committed(&mut self, failure: &Failure, now: Timestamp) -> Answer {
        let cause = self.cause(failure, now);
        self.lay_down(failure);
        if failure.is_group_fence() || cause.code == Code::FENCED {
            Answer::Fenced(cause)
        } else if failure.is_refusal() {
            Answer::Refused(cause)
        } else {
            Answer::NotCommitted(cause)
        }
    }

    fn unknown(&mut self, failure: &Failure, now: Timestamp) -> Answer {
        self.close();
        self.lay_down(failure);
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
        self.close();
        if self.is_taken {
            return Coded::new(Code::FENCED, format!("somebody else has taken {}", self.id));
        }
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
