//! What is looked for in the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::code::Coded;
use crate::headers;
use crate::internal::{self, COMMAND, Command};
use crate::journal::{Cause, Ending, Noted, Page, Step};
use crate::ports::Topics;
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
            let Some(info) = self.topics.describe(&topic).await? else { continue };
            for number in 0..info.partitions {
                let partition = TopicPartition::new(Arc::clone(&topic), number);
                let Some(from) = self.begin(&partition).await? else { continue };
                let named: BTreeSet<u64> = ids.iter().filter_map(|id| offset_in(id, &info.id, number)).collect();
                let noted = places.get(&partition);
                let mut reader = Reader::new(Arc::clone(&self.topics), partition.clone(), from);
                loop {
                    let records = reader.read().await?;
                    if records.is_empty() {
                        break;
                    }
                    self.looked_at += records.len() as u64;
                    let is_over = self.to.is_some_and(|to| records.iter().all(|record| record.timestamp >= to));
                    for record in records {
                        let is_noted = noted.is_some_and(|noted| noted.contains(&record.offset));
                        let is_named = || named.contains(&record.offset) || belongs(&record, ids);
                        let command = command(&record);
                        let is_about = |(command, record): &(Box<Command>, Record)| {
                            belongs(record, ids) || ids.contains(&command.target.own_id.as_str())
                        };
                        let of_letter = record.headers.text(headers::DL_OWN_ID);
                        let is_letters = of_letter.is_some_and(|id| ids.contains(&id));
                        if is_noted || is_letters || command.as_ref().is_some_and(is_about) || is_named() {
                            let of_command = command.as_ref().map(|(command, _)| command.target.own_id.clone());
                            let known = of_command.or_else(|| of_letter.map(str::to_owned)).filter(|id| !id.is_empty());
                            let own_id = known.unwrap_or_else(|| format!("{}/{number}/{}", info.id, record.offset));
                            found.push(Found { position: partition.at(record.offset), record, command, own_id });
                        }
                    }
                    if is_over {
                        break;
                    }
                }
            }
        }
        Ok(found)
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
        if !matches!(ended, Ending::Done | Ending::Muted | Ending::Passed | Ending::Copy | Ending::Letter(_)) {
            let topic = page.topics.get(usize::from(*place)).map_or("", String::as_str);
            places.entry(TopicPartition::new(topic, shard)).or_default().insert(*offset);
        }
    }
}

fn belongs(record: &Record, ids: &[&str]) -> bool {
    let named = record.headers.get_all([headers::CORRELATION_ID, headers::ID]);
    named.into_iter().flatten().any(|name| ids.iter().any(|id| id.as_bytes() == name))
}

fn command(record: &Record) -> Option<(Box<Command>, Record)> {
    if record.headers.get(headers::TYPE) != Some(COMMAND.as_bytes()) {
        return None;
    }
    let command = Command::read(record)?;
    let target = command.target.record();
    Some((Box::new(command), target))
}

/// The offset that an id means which stands for a record of this partition without one.
fn offset_in(id: &str, topic: &str, partition: u32) -> Option<u64> {
    let (of, offset) = id.strip_prefix(topic)?.strip_prefix('/')?.split_once('/')?;
    (of.parse() == Ok(partition)).then(|| offset.parse().ok()).flatten()
}
