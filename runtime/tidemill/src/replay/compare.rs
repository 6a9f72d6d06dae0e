//! What a replay emits, held against what stands in the topics.

use std::ops::ControlFlow;

use serde::Serialize;
use tidemill_core::code::Coded;
use tidemill_core::headers;
use tidemill_core::record::{Position, Record};
use tidemill_core::replay::{Emission, Join, Joined, KEPT_BYTES, Told};
use tidemill_core::time::Timestamp;

use super::Replay;
use super::fields::{Field, Written, differ, shown};

/// Differences that are described; others are counted.
const MOST_DESCRIBED: usize = 10_000;

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
    /// Units that failed then, and do not now.
    pub mended: u64,
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
    /// A unit is done that failed.
    Mended,
}

impl Comparison {
    /// Whether all is as it was.
    pub const fn is_equal(&self) -> bool {
        let Self { different, missing, extra, moved, failing, mended, .. } = self;
        *different + *missing + *extra + *moved + *failing + *mended == 0
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
    /// What is found before anything is compared.
    found: Comparison,
    /// The oldest and the newest time that a unit saw.
    times: Option<(Timestamp, Timestamp)>,
}

impl Part {
    fn see(&mut self, told: &Told) {
        self.found.records += 1;
        self.join.emits(told);
        self.saw(told.at, told.at);
        let (kind, count) = match (told.noted.ended.is_done(), &told.failure) {
            (true, Some(_)) => (Kind::Failing, &mut self.found.failing),
            (false, None) if told.is_handled => (Kind::Mended, &mut self.found.mended),
            _ => return,
        };
        *count += 1;
        self.found.note(Difference {
            kind,
            position: told.position.to_string(),
            topic: String::new(),
            id: told.id.clone(),
            event: told.event.clone(),
            key: shown(told.record.key.as_deref()),
            fields: Vec::new(),
            failure: told.failure.as_ref().map(ToString::to_string),
        });
    }

    fn saw(&mut self, oldest: Timestamp, newest: Timestamp) {
        self.times = Some(self.times.map_or((oldest, newest), |(from, to)| (from.min(oldest), to.max(newest))));
    }

    fn extend(&mut self, other: Self) {
        self.join.extend(other.join);
        self.found.records += other.found.records;
        self.found.failing += other.found.failing;
        self.found.mended += other.found.mended;
        other.found.differences.into_iter().for_each(|difference| self.found.note(difference));
        if let Some((oldest, newest)) = other.times {
            self.saw(oldest, newest);
        }
    }
}

impl Replay {
    /// Runs it on as many threads as this machine has cores, and compares what is emitted with what was emitted then. `ignored` are fields
    /// that may differ: `key`, `header.NAME`, or the path of a field of the value.
    pub async fn diff(&self, ignored: &[String]) -> Result<Comparison, Coded> {
        let part = || Part { join: Join::new(&self.service, KEPT_BYTES), found: Comparison::default(), times: None };
        let mut whole = part();
        let see = |part: &mut Part, told: Told| {
            part.see(&told);
            Ok(ControlFlow::Continue(()))
        };
        for (ran, part) in self.parts(part, see).await? {
            whole.extend(part);
            whole.found.unknown += ran.unknown;
        }
        let Part { mut join, found: mut comparison, times } = whole;
        comparison.emitted = join.emitted();
        if times.is_some() {
            let see = |joined, position: &Position, record: &Record| {
                self.joined(joined, position, record, ignored, &mut comparison);
            };
            join.against(&self.service, &self.broker.topics(), times, see).await?;
        }
        for emission in join.into_extra() {
            comparison.extra += 1;
            comparison.note(describe(Kind::Extra, &emission, Vec::new()));
        }
        Ok(comparison)
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
    let event = content.and_then(|content| headers::find(&content.headers, headers::TYPE));
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
