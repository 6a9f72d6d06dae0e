//! What is looked for in the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::code::Coded;
use crate::headers;
use crate::internal::{self, Command, DEAD_LETTERS, INTERNAL};
use crate::journal::{Cause, Ending, Noted, Page, Step};
use crate::ports::{TopicInfo, Topics};
use crate::reader::Reader;
use crate::record::{Position, Record, TopicPartition};
use crate::replay::Pages;
use crate::service::Service;
use crate::time::Timestamp;

/// The part of the logs that is looked at.
pub(super) struct Scan {
    pub(super) topics: Arc<dyn Topics>,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    /// How many records were looked at.
    pub(super) looked_at: u64,
}

/// A record that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) position: Position,
    pub(super) record: Record,
    /// The operator's command that it is, and the record that this is about.
    pub(super) command: Option<(Box<Command>, Record)>,
    /// What stands for its id where its headers name none.
    pub(super) own_id: String,
}

impl Found {
    /// What is handled: the record, or the one that a command is about, and where that stands.
    pub(super) fn handled(&self) -> (&Record, Position) {
        match &self.command {
            Some((command, record)) => (record, command.target.position()),
            None => (&self.record, self.position.clone()),
        }
    }

    /// The id of its event.
    pub(super) fn id(&self) -> &str {
        self.handled().0.headers.text(headers::ID).unwrap_or(&self.own_id)
    }

    /// What it has in common with all that it belongs to.
    pub(super) fn correlation(&self) -> &str {
        self.handled().0.headers.text(headers::CORRELATION_ID).unwrap_or_else(|| self.id())
    }
}

/// Offsets, by their partition.
pub(super) type Places = BTreeMap<TopicPartition, BTreeSet<u64>>;

/// The journal of one shard of a service.
pub(super) struct OfShard {
    pub(super) service: Arc<Service>,
    pub(super) shard: u32,
    pub(super) pages: Vec<Page>,
}

impl Scan {
    /// The journals of these services, and the records in them with more to say than that they are done.
    pub(super) async fn journals(&self, services: &[Arc<Service>]) -> Result<(Vec<OfShard>, Places), Coded> {
        let (mut journals, mut places) = (Vec::new(), Places::new());
        for service in services {
            let journal: Arc<str> = internal::journal(service.name()).into();
            let shards = self.topics.describe(&journal).await?.map_or(0, |info| info.partitions);
            for shard in 0..shards {
                let partition = TopicPartition::new(Arc::clone(&journal), shard);
                let Some(from) = self.begin(&partition).await? else { continue };
                let mut reader = Pages::new(Arc::clone(&self.topics), partition, from);
                let mut pages = Vec::new();
                while let Some((_, mut page)) = reader.next().await? {
                    if self.to.is_some_and(|to| page.time(0) >= to) {
                        break;
                    }
                    strip(&mut page, shard, &mut places);
                    pages.push(page);
                }
                journals.push(OfShard { service: Arc::clone(service), shard, pages });
            }
        }
        Ok((journals, places))
    }

    /// All records that belong to any of these ids, and those in these places.
    pub(super) async fn records(
        &mut self,
        services: &[Arc<Service>],
        ids: &[&str],
        places: &Places,
    ) -> Result<Vec<Found>, Coded> {
        let own = |service: &Arc<Service>| [internal::journal(service.name()), internal::operations(service.name())];
        let own: BTreeSet<String> = services.iter().flat_map(own).collect();
        let topics = services.iter().flat_map(|service| service.input_topics().chain(service.output_topics()));
        let topics: BTreeSet<Arc<str>> = topics.filter(|topic| !own.contains(&***topic)).cloned().collect();
        let mut found = Vec::new();
        for topic in topics {
            let Some(TopicInfo { partitions, id }) = self.topics.describe(&topic).await? else { continue };
            for number in 0..partitions {
                let partition = TopicPartition::new(Arc::clone(&topic), number);
                let own = format!("{id}/{number}/");
                let named = ids.iter().filter_map(|id| id.strip_prefix(&own)?.parse().ok());
                let sought = Sought { ids, named: named.collect(), noted: places.get(&partition), own: &own };
                self.partition(partition, &sought, &mut found).await?;
            }
        }
        Ok(found)
    }

    async fn partition(
        &mut self,
        partition: TopicPartition,
        sought: &Sought<'_>,
        found: &mut Vec<Found>,
    ) -> Result<(), Coded> {
        let Some(from) = self.begin(&partition).await? else { return Ok(()) };
        let mut reader = Reader::new(Arc::clone(&self.topics), partition.clone(), from);
        loop {
            let records = reader.read().await?;
            let is_over = self.to.is_some_and(|to| records.iter().all(|record| record.timestamp >= to));
            self.looked_at += records.len() as u64;
            if records.is_empty() {
                return Ok(());
            }
            found.extend(records.into_iter().filter_map(|record| sought.find(&partition, record)));
            if is_over {
                return Ok(());
            }
        }
    }

    /// The first offset that is looked at; `None` where there is nothing to look at.
    async fn begin(&self, partition: &TopicPartition) -> Result<Option<u64>, Coded> {
        match self.from {
            None => Ok(Some(0)),
            Some(from) => self.topics.offset_at(partition, from).await,
        }
    }
}

/// Leaves out of a page what is not looked for, and notes the places of records that say more.
fn strip(page: &mut Page, shard: u32, places: &mut Places) {
    for step in &mut page.steps {
        let Step::Unit(noted) = step else { continue };
        noted.answers = Vec::new();
        let Noted { cause: Cause::Record(place, offset), ended, .. } = noted else { continue };
        if ended.waits() || *ended == Ending::Commanded {
            let topic = page.topics.get(usize::from(*place)).map_or("", String::as_str);
            places.entry(TopicPartition::new(topic, shard)).or_default().insert(*offset);
        }
    }
}

/// What is looked for in a partition.
struct Sought<'s> {
    ids: &'s [&'s str],
    /// The records without an id that the ids stand for.
    named: BTreeSet<u64>,
    /// Those that the journals say more of.
    noted: Option<&'s BTreeSet<u64>>,
    /// What stands before the offset where a record has no id.
    own: &'s str,
}

impl Sought<'_> {
    fn find(&self, partition: &TopicPartition, record: Record) -> Option<Found> {
        let offset = record.offset;
        let (mut command, mut own_id) = (None, String::new());
        // What is about a record of another topic names its id there.
        if partition.topic.ends_with(INTERNAL) {
            command = Command::read(&record).map(|command| {
                let target = command.target.record();
                own_id.clone_from(&command.target.own_id);
                (Box::new(command), target)
            });
        } else if partition.topic.ends_with(DEAD_LETTERS) {
            record.headers.text(headers::DL_OWN_ID).unwrap_or_default().clone_into(&mut own_id);
        }
        let is_noted = self.noted.is_some_and(|noted| noted.contains(&offset));
        let is_about = || command.as_ref().is_some_and(|(_, record)| self.belongs(record));
        let is_named = || self.named.contains(&offset) || self.ids.contains(&own_id.as_str());
        if !(is_noted || is_named() || self.belongs(&record) || is_about()) {
            return None;
        }
        if own_id.is_empty() {
            own_id = format!("{}{offset}", self.own);
        }
        Some(Found { position: partition.at(offset), record, command, own_id })
    }

    fn belongs(&self, record: &Record) -> bool {
        let named = record.headers.get_all([headers::CORRELATION_ID, headers::ID]);
        named.into_iter().flatten().any(|name| self.ids.iter().any(|id| id.as_bytes() == name))
    }
}
