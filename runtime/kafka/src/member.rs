//! A member of a group: takes note of what the group says about ownership, and reads what it was given.
//!
//! Two clients stand behind it. One is the member: it joins, and a rebalance is a message from it that is answered when the
//! worker has drained. The other reads, and knows nothing of the group; so partitions are read from where the worker wants,
//! when it wants, whatever the group is doing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Generation, Log, LogEvent, Start, Subscription};
use tidemill_core::progress::Progress;
use tidemill_core::record::{RecordBatch, TopicPartition};
use tidemill_core::time::Timestamp;

use crate::access::Access;
use crate::broker::Shared;
use crate::client::Plain;
use crate::context::{Rebalance, Seat, let_pass};
use crate::failure::Failure;
use crate::native::{self, Signal};
use crate::offsets;
use crate::operations::Operations;
use crate::ownership::Ownership;
use crate::reader::{Reader, number};

/// How often a member is looked after that has nothing to do: the group must see that it is alive.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Answers of the client that are taken at a time.
const MOST_ANSWERS: usize = 16;

/// A revocation that is not answered yet.
struct Going {
    all: Vec<TopicPartition>,
    left: BTreeSet<TopicPartition>,
    deadline: Timestamp,
}

/// One member of a group.
pub(crate) struct Member {
    shared: Arc<Shared>,
    name: (Arc<str>, Arc<str>),
    topics: Vec<Arc<str>>,
    client: Arc<BaseConsumer<Seat>>,
    signal: Arc<Signal>,
    reader: Reader,
    operations: Operations,
    ownership: Arc<Ownership>,
    held: BTreeSet<TopicPartition>,
    going: Option<Going>,
    events: VecDeque<LogEvent>,
    /// A static member that stops takes nothing any more.
    is_retiring: bool,
    alarm: Option<BoxFuture<'static, ()>>,
}

impl Member {
    /// Joins the group of the subscription.
    pub(crate) fn join(
        shared: Arc<Shared>,
        subscription: &Subscription,
        reading: Arc<Plain>,
        ownership: Arc<Ownership>,
    ) -> Result<Self, Coded> {
        let signal = Arc::new(Signal::default());
        let operations = Operations::follow(&reading, &subscription.group, &signal)?;
        let mut client = shared.clients.member(&subscription.group, &subscription.member, &signal)?;
        let bell = Arc::clone(&signal);
        client.set_nonempty_callback(move || bell.tell());
        let topics: Vec<&str> = subscription.topics.iter().map(AsRef::as_ref).collect();
        let joined = client.subscribe(&topics);
        joined.map_err(|error| Failure::from(error).coded(format!("group {} cannot be joined", subscription.group)))?;
        let reader = Reader::new(Arc::clone(&shared), reading, Arc::clone(&signal));
        signal.tell();
        Ok(Self {
            shared,
            name: (Arc::clone(&subscription.group), Arc::clone(&subscription.member)),
            topics: subscription.topics.clone(),
            client: Arc::new(client),
            signal,
            reader,
            operations,
            ownership,
            held: BTreeSet::new(),
            going: None,
            events: VecDeque::new(),
            is_retiring: false,
            alarm: None,
        })
    }

    /// The client that is the member, for commits.
    pub(crate) fn client(&self) -> &Arc<BaseConsumer<Seat>> {
        &self.client
    }

    /// Looks after the membership when there is news, or when it is time.
    fn look(&mut self, cx: &mut Context<'_>) -> Result<(), Coded> {
        let rang = self.alarm.as_mut().is_none_or(|alarm| alarm.as_mut().poll(cx).is_ready());
        if rang {
            let mut alarm = self.shared.clock.sleep(LOOK_EVERY);
            // Polled once, so that it wakes this task.
            if alarm.as_mut().poll(cx).is_ready() {
                self.signal.tell();
            }
            self.alarm = Some(alarm);
        }
        if !self.signal.take_news() && !rang {
            return Ok(());
        }
        for _ in 0..MOST_ANSWERS {
            // Nothing is read through this client; a message that slipped through at the assignment is read by the reader.
            if let Some(Err(error)) = self.client.poll(Duration::ZERO) {
                self.trouble(error)?;
            }
        }
        self.reader.hear();
        self.renew();
        self.enforce();
        while self.going.is_none() && !self.is_retiring {
            match self.client.context().next() {
                Some(Rebalance::Assign(list)) => self.assigned(named(list))?,
                Some(Rebalance::Revoke(list)) => self.revoked(named(list)),
                None => break,
            }
        }
        Ok(())
    }

    /// What the client complains about: most passes by itself.
    fn trouble(&self, error: KafkaError) -> Result<(), Coded> {
        use RDKafkaErrorCode as E;
        let failure = Failure::from(error);
        let ends = matches!(
            failure.code,
            E::TopicAuthorizationFailed
                | E::Authentication
                | E::SaslAuthenticationFailed
                | E::UnknownTopicOrPartition
                | E::UnknownTopic
                | E::InconsistentGroupProtocol
                | E::UnsupportedVersion
                | E::UnsupportedAssignor
                | E::Fatal
        );
        if failure.code == E::FencedInstanceId {
            let message = format!("group {} has another member of the static name {}", self.name.0, self.name.1);
            return Err(Coded::new(Code::DUPLICATE_INSTANCE, message));
        }
        if failure.code == E::GroupAuthorizationFailed {
            return Err(Access::Group(&self.name.0).denied(self.shared.clients.settings()));
        }
        if matches!(failure.code, E::UnknownTopicOrPartition | E::UnknownTopic)
            && let Some(cause) = self.topics.iter().find_map(|topic| self.shared.vanished(topic))
        {
            return Err(cause);
        }
        if ends {
            return Err(failure.coded(format!("group {}", self.name.0)));
        }
        tracing::debug!(group = %self.name.0, "{failure}");
        Ok(())
    }

    /// With KIP-848 the epoch of a membership goes on while partitions stay; commits are checked by the newest.
    fn renew(&self) {
        let cooperates = matches!(self.client.rebalance_protocol(), RebalanceProtocol::Cooperative);
        if cooperates
            && native::generation(&self.client) >= 0
            && let Some(fence) = self.client.group_metadata()
        {
            self.ownership.renew(fence);
        }
    }

    fn assigned(&mut self, partitions: Vec<TopicPartition>) -> Result<(), Coded> {
        let generation = native::generation(&self.client);
        let list = list(&partitions);
        let answer = match self.client.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.client.incremental_assign(&list),
            _ => self.client.assign(&list),
        };
        answer.map_err(|error| Failure::from(error).coded("an assignment cannot be taken"))?;
        if partitions.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.client.pause(&list) {
            tracing::debug!(%error, "the member's client reads what nobody asked for");
        }
        // A membership that ended meanwhile says so next; a fence of no member would let everything through.
        let Some(fence) = self.client.group_metadata().filter(|_| generation >= 0) else { return Ok(()) };
        let generation = Generation(u64::from(generation.unsigned_abs()));
        self.ownership.give(&partitions, generation, fence);
        self.held.extend(partitions.iter().cloned());
        self.events.push_back(LogEvent::Assigned { partitions, generation });
        Ok(())
    }

    /// Asks partitions back, beside those that are on their way.
    fn revoked(&mut self, partitions: Vec<TopicPartition>) {
        let held: Vec<TopicPartition> =
            partitions.iter().filter(|partition| self.held.contains(partition)).cloned().collect();
        self.reader.stop(&held);
        let drain = self.shared.clients.settings().drain;
        let deadline = self.shared.clock.now() + drain;
        let going = self.going.get_or_insert_with(|| Going { all: Vec::new(), left: BTreeSet::new(), deadline });
        going.all.extend(partitions);
        going.left.extend(held.iter().cloned());
        if held.is_empty() {
            self.answer();
        } else if self.client.assignment_lost() {
            self.lose();
        } else {
            self.events.push_back(LogEvent::Revoked { partitions: held, drain });
        }
    }

    /// Gives everything up and stays in the group, which keeps a static member's partitions for it until its session is over. Who
    /// unsubscribes leaves the group, static or not.
    fn retire(&mut self) {
        self.is_retiring = true;
        let goes =
            |partition: &&TopicPartition| self.going.as_ref().is_some_and(|going| going.left.contains(*partition));
        let rest: Vec<TopicPartition> = self.held.iter().filter(|partition| !goes(partition)).cloned().collect();
        if !rest.is_empty() {
            self.revoked(rest);
        }
    }

    /// Takes away what was not given up in time, or went to somebody else meanwhile.
    fn enforce(&mut self) {
        let now = self.shared.clock.now();
        if self.going.as_ref().is_some_and(|going| going.deadline <= now) || self.client.assignment_lost() {
            self.lose();
        }
    }

    /// What was asked back and is not given up is lost.
    fn lose(&mut self) {
        let Some(going) = &mut self.going else { return };
        let lost: Vec<TopicPartition> = std::mem::take(&mut going.left).into_iter().collect();
        if !lost.is_empty() {
            self.ownership.take(&lost);
            self.held.retain(|partition| !lost.contains(partition));
            self.events.push_back(LogEvent::Lost { partitions: lost });
        }
        self.answer();
    }

    /// Answers the revocation: the partitions may go.
    fn answer(&mut self) {
        let Some(going) = self.going.take() else { return };
        let answer = match self.client.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.client.incremental_unassign(&list(&going.all)),
            _ => self.client.unassign(),
        };
        if let Err(error) = answer {
            tracing::warn!(%error, "partitions could not be given up");
        }
        self.signal.tell();
    }
}

fn named(list: Vec<(String, i32)>) -> Vec<TopicPartition> {
    let name = |(topic, partition): (String, i32)| TopicPartition::new(topic, partition.unsigned_abs());
    list.into_iter().map(name).collect()
}

fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        let added = list.add_partition_offset(&partition.topic, number(partition), Offset::End);
        added.expect("the end is a valid offset");
    }
    list
}

impl Log for Member {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        into: &mut Vec<RecordBatch>,
    ) -> Poll<Result<Option<LogEvent>, Coded>> {
        self.signal.listen(cx.waker());
        self.look(cx)?;
        if let Some(event) = self.operations.poll(&self.shared)? {
            return Poll::Ready(Ok(Some(event)));
        }
        if self.operations.is_known()
            && let Some(event) = self.events.pop_front()
        {
            return Poll::Ready(Ok(Some(event)));
        }
        if self.reader.poll(cx, room, into)? { Poll::Ready(Ok(None)) } else { Poll::Pending }
    }

    fn start(&mut self, partition: &TopicPartition, from: Start) -> Result<(), Coded> {
        let goes = self.going.as_ref().is_some_and(|going| going.left.contains(partition));
        // One that was lost or asked back meanwhile is not read any more; the event that says so is on its way.
        if goes || !self.held.contains(partition) {
            return Ok(());
        }
        self.reader.start(partition, from)
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.reader.pause(partition, true);
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.reader.pause(partition, false);
    }

    fn release(&mut self, partitions: &[TopicPartition]) {
        let Some(going) = &mut self.going else { return };
        let released: Vec<TopicPartition> =
            partitions.iter().filter(|partition| going.left.remove(partition)).cloned().collect();
        let is_last = going.left.is_empty();
        self.ownership.take(&released);
        self.held.retain(|partition| !released.contains(partition));
        if is_last {
            self.answer();
        }
    }

    fn note(&mut self, progress: &[(TopicPartition, Progress)]) {
        let mut list = TopicPartitionList::new();
        for (partition, progress) in progress.iter().filter(|(partition, _)| self.held.contains(partition)) {
            offsets::add(&mut list, partition, progress);
        }
        if list.count() > 0
            && let Err(error) = self.client.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "the offsets of the group stay behind");
        }
    }

    fn leave(&mut self) {
        if self.shared.clients.settings().static_members {
            self.retire();
        } else {
            self.client.unsubscribe();
        }
        self.signal.tell();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.ownership.clear();
        let held: Vec<TopicPartition> = self.held.iter().cloned().collect();
        self.reader.stop(&held);
        // Whoever drops the client waits until the group has let it go, which takes an answer to each rebalance, and no more than
        // one: those that were read are answered here, and those that are still to be read by whoever reads them.
        self.client.context().end();
        self.answer();
        while let Some(told) = self.client.context().next() {
            let (assigns, partitions) = match told {
                Rebalance::Assign(partitions) => (true, partitions),
                Rebalance::Revoke(partitions) => (false, partitions),
            };
            let_pass(&self.client, assigns, &list(&named(partitions)));
        }
        self.shared.leave(&self.name);
    }
}
