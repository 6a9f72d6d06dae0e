//! The changelog: what a record of it says, and how a shard's state is rebuilt from it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Change;
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use crate::client::Plain;
use crate::failure::Failure;
use crate::native::{Message, Queue, Signal};
use crate::reader::{list_of, number, offset};

/// What a key of the changelog begins with where it is a state key.
const STATE: u8 = 0;
/// What it begins with where it names an input topic and the value is the shard's progress in it.
const PROGRESS: u8 = 1;
/// What the local store keeps of its own beside them; no record of the changelog begins with it.
pub(crate) const LOCAL: u8 = 2;

/// How long one look for more records waits.
const PATIENCE: Duration = Duration::from_millis(100);
/// Records that are applied to the store at a time.
const PAGE: usize = 10_000;

/// The key of a record that changes state.
pub(crate) fn state_key(key: &[u8]) -> Bytes {
    tagged(STATE, key)
}

/// The key of a record that tells progress in an input topic.
pub(crate) fn progress_key(topic: &str) -> Bytes {
    tagged(PROGRESS, topic.as_bytes())
}

pub(crate) fn tagged(tag: u8, rest: &[u8]) -> Bytes {
    [&[tag], rest].concat().into()
}

/// The state key in a key of the changelog.
pub(crate) fn read_state_key(key: &Bytes) -> Option<Bytes> {
    (key.first() == Some(&STATE)).then(|| key.slice(1..))
}

/// Progress as the changelog keeps it: the topic's own id, so that a topic which was made again is told from the old one.
pub(crate) fn progress_value(topic_id: &str, progress: &Progress) -> Bytes {
    let length = u8::try_from(topic_id.len()).expect("a topic id of Kafka has 22 characters");
    let mut value = vec![length];
    value.extend_from_slice(topic_id.as_bytes());
    progress.encode(&mut value);
    value.into()
}

/// The topic id and the progress in a value.
pub(crate) fn read_progress(value: &[u8]) -> Option<(&str, Progress)> {
    let (&length, rest) = value.split_first()?;
    let (id, progress) = rest.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(id).ok()?, Progress::decode(progress)?))
}

/// How far a restore is.
pub(crate) struct Pace<'a> {
    /// Gives the restore up where it answers no.
    pub(crate) goes_on: &'a dyn Fn() -> bool,
    /// Called with the position that was reached.
    pub(crate) reached: &'a mut dyn FnMut(u64),
}

/// Reads a changelog's partition from `from` up to `end`, committed records only, and hands the changes over page by page.
/// `end` is the partition's true end: it is passed when the transactions before it are over.
pub(crate) fn read(
    client: &Arc<Plain>,
    partition: &TopicPartition,
    (from, end): (u64, u64),
    pace: &mut Pace<'_>,
    mut apply: impl FnMut(Vec<Change>) -> Result<(), Coded>,
) -> Result<bool, Coded> {
    let queue = Queue::open(client, &partition.topic, number(partition), &Arc::<Signal>::default());
    let begin = if from == 0 { Offset::Beginning } else { offset(from) };
    let cannot = |failure: Failure| failure.coded(format!("changelog {partition} cannot be read"));
    client.incremental_assign(&list_of(partition, begin)).map_err(|error| cannot(error.into()))?;
    let mut answer = Ok(false);
    let (mut changes, mut messages) = (Vec::new(), Vec::new());
    let mut next = from;
    while (pace.goes_on)() {
        queue.take(PATIENCE, &mut messages);
        for found in messages.drain(..) {
            match found.error() {
                None => {
                    next = found.offset() + 1;
                    changes.extend(change(&found));
                }
                Some(RDKafkaErrorCode::PartitionEOF) => next = next.max(found.offset()),
                Some(code) if Failure::new(code, "").is_absence() => {}
                Some(code) => answer = Err(cannot(Failure::new(code, "the broker says"))),
            }
        }
        if changes.len() >= PAGE || next >= end {
            if let Err(cause) = apply(std::mem::take(&mut changes)) {
                answer = Err(cause);
            }
            (pace.reached)(next);
        }
        if answer.is_ok() && next >= end {
            answer = Ok(true);
        }
        if answer != Ok(false) {
            break;
        }
    }
    if let Err(error) = client.incremental_unassign(&list_of(partition, Offset::Invalid)) {
        tracing::debug!(%error, %partition, "reading could not be ended");
    }
    answer
}

/// The same for whoever has no use for a part: not to come to `end` for as long as `goes_on` says is an error.
pub(crate) fn read_whole(
    client: &Arc<Plain>,
    partition: &TopicPartition,
    range: (u64, u64),
    goes_on: &dyn Fn() -> bool,
    apply: impl FnMut(Vec<Change>) -> Result<(), Coded>,
) -> Result<(), Coded> {
    if read(client, partition, range, &mut Pace { goes_on, reached: &mut |_| () }, apply)? {
        return Ok(());
    }
    let message = format!("{partition} could not be read to its end in time");
    Err(Coded::new(Code::BROKER_UNREACHABLE, message))
}

fn change(message: &Message) -> Option<Change> {
    let key = message.key().map(Bytes::copy_from_slice)?;
    Some(Change { key, value: message.value().map(Bytes::copy_from_slice) })
}
