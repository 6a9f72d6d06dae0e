//! What a replay of a range needs of the logs, into a file.

use std::path::Path;
use std::sync::Arc;

use tidemill_core::code::Coded;
use tidemill_core::internal;
use tidemill_core::record::TopicPartition;
use tidemill_core::replay::{Bounds, SLOWEST, Survey};
use tidemill_core::time::Timestamp;

use super::Replay;
use crate::exported::{self, Parts};

/// Writes what replays of these ranges need: the pages of the services' journals, the records that they name, and what was emitted at that time;
/// without a range all there is. Of a service without a journal, the records of its inputs. Answers how many records that are. A file that
/// cannot be written is an error (TM-0203).
pub async fn export(replays: &[Replay], into: &Path) -> Result<u64, Coded> {
    let mut parts = Parts::new();
    let Some(first) = replays.first() else { return Ok(0) };
    for replay in replays {
        let times = replay.came_in(&mut parts).await?;
        replay.went_out(times, &mut parts).await?;
    }
    exported::write(&first.broker.topics(), &parts, into).await
}

/// The times between which units ran that are meant.
enum Times {
    All,
    Between(Timestamp, Timestamp),
    Never,
}

impl Times {
    fn and(&self, oldest: Timestamp, newest: Timestamp) -> Self {
        match self {
            Self::All => Self::All,
            Self::Never => Self::Between(oldest, newest),
            Self::Between(from, to) => Self::Between(oldest.min(*from), newest.max(*to)),
        }
    }
}

impl Replay {
    /// Adds the journal, and the records that its pages name.
    async fn came_in(&self, parts: &mut Parts) -> Result<Times, Coded> {
        let topics = self.broker.topics();
        let journal: Arc<str> = internal::journal(self.service.name()).into();
        let known = topics.describe(&journal).await?;
        let first = self.service.input_topics().next().expect("a service has inputs");
        let inputs = topics.describe(first).await?.map_or(0, |info| info.partitions);
        let mut times = Times::Never;
        for (shard, bounds) in self.range.resolve(&self.service, &topics, inputs).await? {
            let partition = TopicPartition::new(Arc::clone(&journal), shard);
            if bounds == Bounds::default() || known.is_none() {
                times = Times::All;
                if known.is_some() {
                    add(parts, partition.clone(), topics.offsets(&partition).await?);
                }
                for topic in self.service.input_topics() {
                    let partition = TopicPartition::new(Arc::clone(topic), shard);
                    let (oldest, end) = topics.offsets(&partition).await?;
                    let from = bounds.from.get(topic).copied().unwrap_or(oldest);
                    add(parts, partition, (from, bounds.to.get(topic).copied().unwrap_or(end)));
                }
                continue;
            }
            let survey = Survey::of(&topics, partition.clone(), &bounds).await?;
            let Some(((first, last), (oldest, newest))) = survey.range().zip(survey.times()) else { continue };
            times = times.and(oldest, newest);
            add(parts, partition, (first, last + 1));
            for (topic, span) in survey.named(&topics).await? {
                add(parts, TopicPartition::new(topic, shard), span);
            }
        }
        Ok(times)
    }

    /// Adds what was emitted then.
    async fn went_out(&self, times: Times, parts: &mut Parts) -> Result<(), Coded> {
        let (topics, journal) = (self.broker.topics(), internal::journal(self.service.name()));
        for topic in self.service.output_topics().filter(|topic| ***topic != *journal) {
            let partitions = topics.describe(topic).await?.map_or(0, |info| info.partitions);
            for number in 0..partitions {
                let partition = TopicPartition::new(Arc::clone(topic), number);
                let (oldest, end) = topics.offsets(&partition).await?;
                let span = match times {
                    Times::Never => None,
                    Times::All => Some((oldest, end)),
                    Times::Between(from, to) => match topics.offset_at(&partition, from).await? {
                        Some(from) => Some((from, topics.offset_at(&partition, to + SLOWEST).await?.unwrap_or(end))),
                        None => None,
                    },
                };
                if let Some(span) = span {
                    add(parts, partition, span);
                }
            }
        }
        Ok(())
    }
}

/// What two want of a partition, and what lies between.
fn add(parts: &mut Parts, partition: TopicPartition, (from, to): (u64, u64)) {
    let known = parts.entry(partition).or_insert((from, to));
    *known = (from.min(known.0), to.max(known.1));
}
