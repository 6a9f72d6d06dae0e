//! What operators want of a group: a compacted topic that every member reads to its end, and follows from there. What they did to
//! single records stands there too, and is passed over here.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::code::Coded;
use tidemill_core::headers::Headers;
use tidemill_core::internal;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::ports::LogEvent;
use tidemill_core::record::TopicPartition;

use crate::access::Access;
use crate::broker::{PATIENCE, Shared};
use crate::changelog;
use crate::client::Plain;
use crate::context::Quiet;
use crate::failure::Failure;
use crate::native::{Queue, Signal};
use crate::reader::{list_of, number};

/// The topic's only partition.
const PARTITION: u32 = 0;
/// The key under which it stands whether the group is paused: with this value it is, without a value it is not.
const PAUSE: &[u8] = b"pause";
const PAUSED: &[u8] = b"paused";

/// Whether a record says that the group is paused, if it speaks of that at all.
fn says(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<bool> {
    (key == Some(PAUSE)).then_some(value == Some(PAUSED))
}

fn partition_of(group: &str) -> TopicPartition {
    TopicPartition::new(internal::operations(group), PARTITION)
}

/// One member's view of it.
pub(crate) struct Operations {
    source: TopicPartition,
    queue: Queue<Quiet>,
    /// Whether everything was read that stood there when the member came.
    is_known: bool,
    is_paused: bool,
    told: bool,
}

impl Operations {
    /// Begins to read.
    pub(crate) fn follow(client: &Arc<Plain>, group: &str, signal: &Arc<Signal>) -> Result<Self, Coded> {
        let source = partition_of(group);
        let queue = Queue::open(client, &source.topic, number(&source), signal);
        let answer = client.incremental_assign(&list_of(&source, Offset::Beginning));
        answer.map_err(|error| Failure::from(error).coded(format!("reading of {source} cannot begin")))?;
        Ok(Self { source, queue, is_known: false, is_paused: false, told: false })
    }

    /// Whether it is known what operators want. Before that, nothing may begin.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Takes what came, and tells when it changes what the group is to do.
    pub(crate) fn poll(&mut self, shared: &Shared) -> Result<Option<LogEvent>, Coded> {
        if self.queue.may_have() {
            let mut messages = Vec::new();
            self.queue.take(Duration::ZERO, &mut messages);
            for message in messages {
                match message.error() {
                    None => self.is_paused = says(message.key(), message.value()).unwrap_or(self.is_paused),
                    Some(RDKafkaErrorCode::PartitionEOF) => self.is_known = true,
                    Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                        return Err(Access::Read(&self.source.topic).denied(shared.clients.settings()));
                    }
                    Some(code) => tracing::debug!(partition = %self.source, %code, "operations cannot be read now"),
                }
            }
        }
        if !self.is_known || self.is_paused == self.told {
            return Ok(None);
        }
        self.told = self.is_paused;
        Ok(Some(if self.is_paused { LogEvent::Paused } else { LogEvent::Resumed }))
    }
}

impl Shared {
    /// Whether a group is paused, by reading all of its operations.
    pub(crate) fn is_paused(&self, group: &str) -> Result<bool, Coded> {
        let source = partition_of(group);
        self.need(&source.topic)?;
        let cannot = |failure: Failure| failure.coded(format!("the end of {source} cannot be read"));
        let (start, end) = self.ask_offsets(&source).map_err(cannot)?;
        let mut is_paused = false;
        if start < end {
            let client = Arc::new(self.clients.reader(group, 1)?);
            let deadline = self.clock.now() + PATIENCE;
            let goes_on = || self.clock.now() < deadline;
            changelog::read_whole(&client, &source, (start, end), &goes_on, |changes| {
                for change in changes {
                    is_paused = says(Some(&change.key), change.value.as_deref()).unwrap_or(is_paused);
                }
                Ok(())
            })?;
        }
        Ok(is_paused)
    }

    /// Writes down that a group is paused, or is not; tells whether that is a change.
    pub(crate) fn pause(&self, group: &str, paused: bool) -> Result<bool, Coded> {
        if self.is_paused(group)? == paused {
            return Ok(false);
        }
        let mut outputs = Outputs::new([internal::operations(group).into()].as_slice().into());
        let address = Address { topic: 0, partition: PARTITION, timestamp: self.clock.now() };
        outputs.push_raw(address, Some(PAUSE), &Headers::default(), paused.then_some(PAUSED));
        self.publish(&outputs).map(|()| true)
    }
}
