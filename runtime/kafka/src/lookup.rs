//! Questions to the cluster: about topics, positions, and what a group has committed.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Lag, TopicInfo, records_lost};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use crate::access::Access;
use crate::broker::{PATIENCE, Shared, lock};
use crate::context::hear;
use crate::failure::Failure;
use crate::native::{self, Description};
use crate::offsets;
use crate::reader::number;
use crate::states::Mark;

/// How long to wait before a question is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// After so long it is looked whether anything tells why there is no answer.
const FIRST_LOOK: Duration = Duration::from_secs(2);

impl Shared {
    /// Asks for a topic, and remembers its id.
    pub(crate) fn ask_topic(&self, topic: &str) -> Result<Option<TopicInfo>, Failure> {
        Ok(self.ask_description(topic)?.map(|description| description.info))
    }

    /// The same, with what may be done with it.
    pub(crate) fn ask_description(&self, topic: &str) -> Result<Option<Description>, Failure> {
        let found = self.patiently(|patience| native::describe(self.plain.client(), topic, patience))?;
        self.clients.reach.back();
        if let Some(found) = &found {
            lock(&self.ids).insert(topic.into(), Arc::clone(&found.info.id));
        }
        Ok(found)
    }

    /// Asks a question, and looks soon why there is no answer: a client that is sent away goes on trying.
    fn patiently<T>(&self, ask: impl Fn(Duration) -> Result<T, Failure>) -> Result<T, Failure> {
        let answer = ask(FIRST_LOOK);
        let Err(failure) = answer else {
            hear(&self.plain);
            return answer;
        };
        if !failure.is_absence() {
            return Err(failure);
        }
        hear(&self.plain);
        match self.clients.reach.denial() {
            Some(reason) => Err(Failure::new(RDKafkaErrorCode::Authentication, reason)),
            None => ask(PATIENCE.saturating_sub(FIRST_LOOK)),
        }
    }

    /// A topic could not be asked for.
    pub(crate) fn no_answer(&self, topic: &str, failure: &Failure) -> Coded {
        if failure.code == RDKafkaErrorCode::TopicAuthorizationFailed {
            return Access::Read(topic).denied(self.clients.settings());
        }
        failure.coded(format!("topic {topic} cannot be looked up"))
    }

    /// The id of a topic that was asked for before.
    pub(crate) fn known_id(&self, topic: &str) -> Arc<str> {
        lock(&self.ids).get(topic).cloned().unwrap_or_default()
    }

    /// The oldest offset and the true end of a partition.
    pub(crate) fn ask_offsets(&self, partition: &TopicPartition) -> Result<(u64, u64), Failure> {
        let deadline = self.clock.now() + PATIENCE;
        loop {
            let asked = self.plain.fetch_watermarks(&partition.topic, number(partition), PATIENCE);
            match asked.map_err(Failure::from) {
                // A leader that moves, or one of a topic that was made at this moment.
                Err(failure) if failure.is_absence() && self.clock.now() < deadline => std::thread::park_timeout(PAUSE),
                asked => {
                    let (start, end) = asked?;
                    self.clients.reach.back();
                    return Ok((start.unsigned_abs(), end.unsigned_abs()));
                }
            }
        }
    }

    /// Where a cache stands that holds everything of this changelog.
    pub(crate) fn mark(&self, changelog: &TopicPartition) -> Result<Mark, Coded> {
        let cannot = |failure: Failure| failure.coded(format!("the end of {changelog} cannot be read"));
        let (_, position) = self.ask_offsets(changelog).map_err(cannot)?;
        let topic_id = self.known_id(&changelog.topic).to_string();
        Ok(Mark { topic_id, position, at: self.clock.now() })
    }

    /// The error that a topic which was there is there no more, or is another one.
    pub(crate) fn vanished(&self, topic: &str) -> Option<Coded> {
        let known = self.known_id(topic);
        match self.ask_topic(topic) {
            Ok(None) => {
                Some(Coded::new(Code::TOPIC_MISSING, format!("topic {topic} was deleted while the service ran")))
            }
            Ok(Some(info)) if !known.is_empty() && info.id != known => {
                Some(Coded::new(Code::TOPIC_REPLACED, format!("topic {topic} was made again while the service ran")))
            }
            _ => None,
        }
    }

    /// What it means that a partition cannot be read on from `wanted`.
    pub(crate) fn broken(&self, partition: &TopicPartition, wanted: u64, code: RDKafkaErrorCode) -> Coded {
        if let Some(cause) = self.vanished(&partition.topic) {
            return cause;
        }
        let failure = Failure::new(code, "the broker says");
        if matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
            && let Ok((oldest, end)) = self.ask_offsets(partition)
        {
            if wanted < oldest {
                return records_lost(partition, wanted, oldest);
            }
            let message = format!("{partition} ends at {end}, and the group has done its records up to {wanted}");
            return Coded::new(Code::TOPIC_REPLACED, message);
        }
        failure.coded(format!("{partition} cannot be read"))
    }

    pub(crate) fn need(&self, topic: &str) -> Result<TopicInfo, Coded> {
        let found = self.ask_topic(topic).map_err(|failure| self.no_answer(topic, &failure))?;
        found.ok_or_else(|| Coded::new(Code::TOPIC_MISSING, format!("topic {topic} does not exist")))
    }

    /// How many members a group has.
    pub(crate) fn members(&self, group: &str) -> Result<usize, Coded> {
        let asked = self.patiently(|patience| native::members(self.plain.client(), group, patience));
        asked.map_err(|failure| failure.coded(format!("group {group} cannot be looked up")))
    }

    pub(crate) fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        let mut list = rdkafka::TopicPartitionList::new();
        let mut partitions = Vec::new();
        for topic in topics {
            for place in 0..self.need(topic)?.partitions {
                let partition = TopicPartition::new(Arc::clone(topic), place);
                list.add_partition(topic, number(&partition));
                partitions.push(partition);
            }
        }
        let cannot = |failure: Failure| failure.coded(format!("offsets of group {group} cannot be read"));
        let asker = self.asker(group)?;
        hear(&asker);
        let deadline = self.clock.now() + PATIENCE;
        let told = loop {
            match asker.committed_offsets(list.clone(), PATIENCE).map_err(Failure::from) {
                // A coordinator that moves, or that is made at this moment.
                Err(failure) if failure.is_absence() && self.clock.now() < deadline => {
                    self.clients.reach.lost(&failure.text);
                    std::thread::park_timeout(PAUSE);
                }
                told => break told.map_err(cannot)?,
            }
        };
        let mut all = Vec::new();
        for partition in partitions {
            let element = told.find_partition(&partition.topic, number(&partition));
            let progress = element.and_then(|element| offsets::read(&element)).unwrap_or_else(Progress::default);
            // Read after the progress: both only grow.
            let (start, end) = self.ask_offsets(&partition).map_err(cannot)?;
            let ahead = end.saturating_sub(progress.next().max(start));
            all.push(Lag { partition, records: ahead + progress.undone() as u64 });
        }
        Ok(all)
    }
}
