//! What a replay emits, held against what stands in the topics.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tidemill_core::code::Coded;
use tidemill_core::headers;
use tidemill_core::journal::Ending;
use tidemill_core::record::{Position, Record, TopicPartition};
use tidemill_core::replay::{Emission, Join, Joined, KEPT_BYTES, Told};
use tidemill_core::time::Timestamp;

use super::Replay;
use super::fields::{Field, Written, differ, shown};

/// Differences that are described; others are counted.
const MOST_DESCRIBED: usize = 10_000;
/// Records that are read at once.
const BATCH: usize = 10_000;
/// By how much older than others a record can be that stands behind them: its unit was that slow.
const SLOWEST: Duration = Duration::from_hours(1);

/// How the events of a replay compare with those that were emitted then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Units that were compared.
    pub records: u64,
    /// Events that they emit now.
    pub emitted: u64,
    /// Events that are the same as then.
    pub equal: u64,
    /// Events that say something else than then.
    pub different: u64,
    /// Events that were emitted then, and are not now.
    pub missing: u64,
    /// Events that are emitted now, and were not then.
    pub extra: u64,
    /// Events that are the same, and come in another order.
    pub moved: u64,
    /// Units that were done then, and fail now.
    pub failing: u64,
    /// Units that could not run: what they handled was parked or scheduled before the state begins.
    pub unknown: u64,
    /// What is not as it was; of many differences, the first.
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    pub kind: Kind,
    /// Where the record stands that causes it; of an event that is missing, where that one stands.
    pub position: String,
    /// The topic of the event; empty where a unit fails.
    pub topic: String,
    /// The event's id; empty where it has none.
    pub id: String,
    /// The type of the event.
    #[serde(rename = "type")]
    pub event: String,
    /// The key.
    pub key: serde_json::Value,
    /// The fields that differ. None where there were too many events to keep them all.
    pub fields: Vec<Field>,
    /// Why a unit fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An event says something else.
    Different,
    /// An event is not emitted any more.
    Missing,
    /// An event was not emitted.
    Extra,
    /// An event comes in another order.
    Moved,
    /// A unit fails that was done.
    Failing,
}

impl Comparison {
    /// Whether all is as it was.
    pub const fn is_equal(&self) -> bool {
        self.different == 0 && self.missing == 0 && self.extra == 0 && self.moved == 0 && self.failing == 0
    }

    fn note(&mut self, difference: Difference) {
        if self.differences.len() < MOST_DESCRIBED {
            self.differences.push(difference);
        }
    }
}

/// What one thread of a replay gathers.
struct Part {
    join: Join,
    records: u64,
    failing: Vec<Difference>,
    failures: u64,
    /// The oldest and the newest time that a unit saw.
    times: Option<(Timestamp, Timestamp)>,
}

fn see(part: &mut Part, told: &Told) -> ControlFlow<()> {
    part.records += 1;
    part.join.emits(told);
    part.times = Some(part.times.map_or((told.at, told.at), |(from, to)| (from.min(told.at), to.max(told.at))));
    if let (Ending::Done, Some(failure)) = (&told.noted.ended, &told.failure) {
        part.failures += 1;
        if part.failing.len() < MOST_DESCRIBED {
            part.failing.push(Difference {
                kind: Kind::Failing,
                position: told.position.to_string(),
                topic: String::new(),
                id: told.id.clone(),
                event: told.event.clone(),
                key: shown(told.record.key.as_deref()),
                fields: Vec::new(),
                failure: Some(failure.to_string()),
            });
        }
    }
    ControlFlow::Continue(())
}

impl Replay {
    /// Runs it on as many threads as this machine has cores, and compares what is emitted with what was emitted then. `ignored` are fields
    /// that may differ: `key`, `header.NAME`, or the path of a field of the value.
    pub async fn diff(&self, ignored: &[String]) -> Result<Comparison, Coded> {
        let service = Arc::clone(&self.service);
        let part = || Part {
            join: Join::new(&service, KEPT_BYTES),
            records: 0,
            failing: Vec::new(),
            failures: 0,
            times: None,
        };
        let (mut whole, mut comparison) = (part(), Comparison::default());
        for (ran, part) in self.parts(part, |part, told| Ok(see(part, &told))).await? {
            whole.join.extend(part.join);
            comparison.records += part.records;
            comparison.unknown += ran.unknown;
            comparison.failing += part.failures;
            part.failing.into_iter().for_each(|difference| comparison.note(difference));
            whole.times = match (whole.times, part.times) {
                (Some((from, to)), Some((other_from, other_to))) => Some((from.min(other_from), to.max(other_to))),
                (times, other) => times.or(other),
            };
        }
        let mut join = whole.join;
        comparison.emitted = join.emitted();
        if let Some(times) = whole.times {
            for topic in
                self.service.output_topics().filter(|topic| join.is_event_topic(topic)).cloned().collect::<Vec<_>>()
            {
                self.compare(&topic, times, &mut join, ignored, &mut comparison).await?;
            }
        }
        for emission in join.into_extra() {
            comparison.extra += 1;
            let of = describe(Kind::Extra, &emission, Vec::new());
            comparison.note(of);
        }
        Ok(comparison)
    }

    /// Compares what was emitted to one topic in this time.
    async fn compare(
        &self,
        topic: &Arc<str>,
        (from, to): (Timestamp, Timestamp),
        join: &mut Join,
        ignored: &[String],
        comparison: &mut Comparison,
    ) -> Result<(), Coded> {
        let topics = self.broker.topics();
        let partitions = topics.describe(topic).await?.map_or(0, |info| info.partitions);
        for number in 0..partitions {
            let partition = TopicPartition::new(Arc::clone(topic), number);
            let Some(mut next) = topics.offset_at(&partition, from).await? else { continue };
            loop {
                let batch = topics.records(&partition, next, BATCH).await?;
                next = batch.next;
                let is_last = batch.records.len() < BATCH;
                let is_over = batch.records.iter().any(|record| record.timestamp > to + SLOWEST);
                for record in batch.records {
                    let joined = join.compare(topic, &record);
                    self.joined(joined, &partition.at(record.offset), &record, ignored, comparison);
                }
                if is_last || is_over {
                    break;
                }
            }
        }
        Ok(())
    }

    fn joined(
        &self,
        joined: Joined,
        position: &Position,
        record: &Record,
        ignored: &[String],
        comparison: &mut Comparison,
    ) {
        match joined {
            Joined::Other => {}
            Joined::Equal => comparison.equal += 1,
            Joined::Moved(emission) => {
                comparison.moved += 1;
                comparison.note(describe(Kind::Moved, &emission, Vec::new()));
            }
            Joined::Different(emission) => {
                let (value, topic) = (record.value.as_deref(), &position.source.topic);
                let then = Written { key: record.key.as_deref(), headers: record.headers.as_bytes(), value };
                let fields = emission.content.as_ref().map(|content| {
                    let now = Written {
                        key: content.key.as_deref(),
                        headers: &content.headers,
                        value: content.value.as_deref(),
                    };
                    differ(&self.service, topic, then, now, ignored)
                });
                if fields.as_ref().is_some_and(Vec::is_empty) {
                    comparison.equal += 1;
                    return;
                }
                comparison.different += 1;
                comparison.note(describe(Kind::Different, &emission, fields.unwrap_or_default()));
            }
            Joined::Missing => {
                comparison.missing += 1;
                let text = |name| record.headers.text(name).unwrap_or_default().to_owned();
                comparison.note(Difference {
                    kind: Kind::Missing,
                    position: position.to_string(),
                    topic: position.source.topic.to_string(),
                    id: text(headers::ID),
                    event: text(headers::TYPE),
                    key: shown(record.key.as_deref()),
                    fields: Vec::new(),
                    failure: None,
                });
            }
        }
    }
}

fn describe(kind: Kind, emission: &Emission, fields: Vec<Field>) -> Difference {
    let content = emission.content.as_ref();
    let event = content.and_then(|content| {
        let mut headers = headers::iter(&content.headers);
        headers.find_map(|(name, value)| value.filter(|_| name == headers::TYPE))
    });
    Difference {
        kind,
        position: emission.cause.to_string(),
        topic: emission.topic.to_string(),
        id: emission.id.clone(),
        event: event.map(|event| String::from_utf8_lossy(event).into_owned()).unwrap_or_default(),
        key: shown(content.and_then(|content| content.key.as_deref())),
        fields,
        failure: None,
    }
}
