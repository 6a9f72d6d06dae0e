//! Records in a file: topics of services with their partitions and offsets, one record a line, which commands read as a broker of the address
//! `jsonl:FILE`. Nothing can run on it or be written to it.
//!
//! The first line says what the file is and which topics it is of. A record is an object with `topic`, `partition`, `offset`, `timestamp`, `key`,
//! `headers` and `value`; bytes are `{"text":…}` where they are that, and else `{"base64":…}`.

mod broker;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemill_core::code::{Code, Coded};
use tidemill_core::headers::Headers;
use tidemill_core::ports::{TopicInfo, Topics};
use tidemill_core::reader::Reader;
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::time::Timestamp;

use crate::files::not_written;
use crate::said::Said;

pub(crate) use broker::Exported;

/// The form of the file that this build writes and reads.
const FORMAT: u32 = 1;

/// No offset of a log is as great.
const MOST_OFFSET: u64 = 1 << 62;
/// Nor has any topic as many partitions.
const MOST_PARTITIONS: u32 = 1 << 20;

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topic {
    pub(crate) partitions: u32,
    /// Its own id: another one where a topic of the same name was made again.
    pub(crate) id: String,
}

/// What is known of those of these topics that exist.
pub(crate) async fn known<'t>(
    topics: &Arc<dyn Topics>,
    names: impl IntoIterator<Item = &'t Arc<str>>,
) -> Result<BTreeMap<String, Topic>, Coded> {
    let mut known = BTreeMap::new();
    for name in names {
        if let Some(TopicInfo { partitions, id }) = topics.describe(name).await? {
            known.insert(name.to_string(), Topic { partitions, id: id.to_string() });
        }
    }
    Ok(known)
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    topics: BTreeMap<String, Topic>,
}

/// Any other line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: String,
    partition: u32,
    #[serde(flatten)]
    record: Written,
}

/// A record as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    offset: u64,
    timestamp: String,
    key: Option<Said>,
    headers: Vec<(String, Option<Said>)>,
    value: Option<Said>,
}

impl Written {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            offset: record.offset,
            timestamp: record.timestamp.to_string(),
            key: record.key.as_deref().map(Said::of),
            headers: record.headers.iter().map(|(name, value)| (name.to_owned(), value.map(Said::of))).collect(),
            value: record.value.as_deref().map(Said::of),
        }
    }

    /// The record again. The error says what of it is not as it was written.
    pub(crate) fn record(&self) -> Result<Record, String> {
        let bytes = |said: &Said| said.to_bytes().ok_or_else(|| format!("{} is no base64", said.to_line()));
        let part = |said: &Option<Said>| said.as_ref().map(bytes).transpose();
        let headers = self.headers.iter().map(|(name, value)| Ok((name.as_str(), part(value)?)));
        let headers: Vec<(&str, Option<Vec<u8>>)> = headers.collect::<Result<_, String>>()?;
        Ok(Record {
            offset: self.offset,
            timestamp: Timestamp::parse(&self.timestamp).ok_or_else(|| format!("{} is no time", self.timestamp))?,
            key: part(&self.key)?.map(Bytes::from),
            value: part(&self.value)?.map(Bytes::from),
            headers: Headers::from_pairs(headers.iter().map(|(name, value)| (*name, value.as_deref()))),
        })
    }
}

/// From where and up to where each partition is wanted.
pub(crate) type Parts = BTreeMap<TopicPartition, (u64, u64)>;

/// Writes these parts of partitions, and answers how many records they hold. A file that cannot be written is an error (TM-0203).
pub(crate) async fn write(topics: &Arc<dyn Topics>, parts: &Parts, into: &Path) -> Result<u64, Coded> {
    let cannot = |error: io::Error| not_written(into, &error);
    // Each once: a topic has several partitions.
    let names: BTreeSet<&Arc<str>> = parts.keys().map(|partition| &partition.topic).collect();
    let known = known(topics, names).await?;
    let mut file = BufWriter::new(File::create(into).map_err(cannot)?);
    let line = |file: &mut BufWriter<File>, data: String| writeln!(file, "{data}").map_err(cannot);
    line(&mut file, text(&Head { format: FORMAT, topics: known }))?;
    let mut count = 0;
    for (partition, (from, to)) in parts {
        let mut reader = Reader::new(Arc::clone(topics), partition.clone(), *from);
        loop {
            let records = reader.read().await?;
            let wanted = records.iter().filter(|record| (*from..*to).contains(&record.offset));
            for record in wanted {
                let (topic, partition) = (partition.topic.to_string(), partition.partition);
                line(&mut file, text(&Line { topic, partition, record: Written::of(record) }))?;
                count += 1;
            }
            if records.is_empty() || reader.next() >= *to {
                break;
            }
        }
    }
    file.into_inner().map_err(|error| cannot(error.into_error()))?.sync_all().map_err(cannot)?;
    Ok(count)
}

fn text(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("it has text keys and no failing parts")
}

impl Exported {
    /// Reads such a file, all of it, into memory. One that cannot be read is an error (TM-0904) that names the line.
    pub(crate) fn open(path: &Path) -> Result<Self, Coded> {
        let unusable = |line: usize, why: &dyn std::fmt::Display| {
            let message = format!("{}, line {line}, cannot be used: {why}", path.display());
            Coded::new(Code::UNUSABLE_CASE, message)
        };
        let file = BufReader::new(File::open(path).map_err(|error| unusable(1, &error))?);
        let mut topics = None;
        let mut records: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
        for (number, line) in (1..).zip(file.lines()) {
            let line = line.map_err(|error| unusable(number, &error))?;
            if topics.is_none() {
                let head: Head = serde_json::from_str(&line).map_err(|error| unusable(number, &error))?;
                if head.format != FORMAT {
                    let why = format!("it has format {}, and this build reads {FORMAT}", head.format);
                    return Err(unusable(number, &why));
                }
                if head.topics.values().any(|topic| !(1..MOST_PARTITIONS).contains(&topic.partitions)) {
                    return Err(unusable(number, &"a topic has no partition, or more than any has"));
                }
                topics = Some(head.topics);
                continue;
            }
            let Line { topic, partition, record } =
                serde_json::from_str(&line).map_err(|error| unusable(number, &error))?;
            let record = record.record().map_err(|error| unusable(number, &error))?;
            if record.offset >= MOST_OFFSET {
                return Err(unusable(number, &format!("no log has the offset {}", record.offset)));
            }
            records.entry(TopicPartition::new(topic, partition)).or_default().push(record);
        }
        let Some(topics) = topics else { return Err(unusable(1, &"it is empty")) };
        for records in records.values_mut() {
            records.sort_by_key(|record| record.offset);
        }
        Ok(Self::new(topics, records))
    }
}
