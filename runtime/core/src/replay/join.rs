//! What a replay emits, held against what was emitted then.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::code::Coded;
use crate::headers;
use crate::id::digest;
use crate::journal::Ending;
use crate::outputs::{Output, Outputs};
use crate::ports::Topics;
use crate::reader::Reader;
use crate::record::{Position, Record, TopicPartition};
use crate::replay::Told;
use crate::service::{Service, source};
use crate::time::Timestamp;

/// By how much older than others a record can be that stands behind them: its unit was that slow.
pub const SLOWEST: Duration = Duration::from_hours(1);

/// Bytes of emissions that are kept to tell fields apart, unless chosen otherwise.
pub const KEPT_BYTES: usize = 256 << 20;

/// One event that a replay emits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// Where the record stands that caused it.
    pub cause: Position,
    /// The topic.
    pub topic: Arc<str>,
    /// The event's id; empty where its headers name none.
    pub id: String,
    /// What is emitted; nothing where there were too many to keep them all.
    pub content: Option<Content>,
    /// The lane that it comes from, and its place among all.
    lane: u128,
    place: u64,
    mark: u128,
}

/// What an event is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The header block.
    pub headers: Vec<u8>,
    /// The value.
    pub value: Option<Vec<u8>>,
}

/// How one event that was emitted then compares with the replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// It is nobody's of this replay.
    Other,
    /// The replay emits the same.
    Equal,
    /// The replay emits the same, before one that it emitted after it then.
    Moved(Box<Emission>),
    /// The replay emits something else in its place.
    Different(Box<Emission>),
    /// The replay does not emit it.
    Missing,
}

/// What is found by a digest. Nothing hangs on its order.
type ByDigest<T> = HashMap<u128, T, foldhash::fast::RandomState>;

/// All events that a replay emits, waiting for those that were emitted then.
pub struct Join {
    source: String,
    /// The service's own topics, whose records are no events.
    own: BTreeSet<Arc<str>>,
    emissions: ByDigest<Vec<Emission>>,
    causes: HashSet<u128, foldhash::fast::RandomState>,
    emitted: u64,
    /// What is emitted now by units that failed then.
    beyond: HashSet<u128, foldhash::fast::RandomState>,
    /// How many bytes may still be kept.
    room: usize,
    /// The last place that was met, by lane, topic and key.
    met: ByDigest<u64>,
}

impl Join {
    /// Of a replay of this service. About so many bytes of emissions are kept; of others it is told that they differ, and not how.
    pub fn new(service: &Service, kept_bytes: usize) -> Self {
        let internal = &service.inputs[service.internal].topic;
        let own = service.own_topics().map(|(topic, _)| topic).filter(|topic| *topic != internal);
        Self {
            source: source(service.name()),
            // What is handed on is an event, though the topic is the service's own.
            own: own.cloned().collect(),
            emissions: HashMap::default(),
            causes: HashSet::default(),
            emitted: 0,
            beyond: HashSet::default(),
            room: kept_bytes,
            met: HashMap::default(),
        }
    }

    /// How many events the replay emitted.
    pub const fn emitted(&self) -> u64 {
        self.emitted
    }

    /// Takes what a unit emits.
    pub fn emits(&mut self, told: &Told) {
        // What only caught up emitted nothing then, and what stands in the topics of it was emitted before.
        if told.noted.ended != Ending::Muted {
            self.causes.insert(digest_of(&[told.id.as_bytes()]));
        }
        self.take(told, &told.outputs, false);
        if let Some(beyond) = &told.beyond {
            self.take(told, beyond, true);
        }
    }

    /// `is_beyond`: they were not emitted then, as the unit failed. What a record emits that failed several times is one event.
    fn take(&mut self, told: &Told, outputs: &Outputs, is_beyond: bool) {
        let key = told.record.key.as_deref().unwrap_or_default();
        let lane = digest_of(&[told.handler.as_bytes(), key]);
        for output in outputs.iter() {
            if self.own.contains(output.topic) {
                continue;
            }
            let named = Named::of(output.topic, output.key, output.headers, output.value);
            if is_beyond && !self.beyond.insert(named.name) {
                continue;
            }
            // It had its effects in the end.
            if !is_beyond && self.beyond.remove(&named.name) {
                self.emissions.remove(&named.name);
                self.emitted -= 1;
            }
            let content = Content {
                key: output.key.map(<[u8]>::to_vec),
                headers: output.headers.to_vec(),
                value: output.value.map(<[u8]>::to_vec),
            };
            let size = size(&output);
            let content = (size <= self.room).then_some(content);
            self.room = self.room.saturating_sub(size);
            let emission = Emission {
                cause: told.position.clone(),
                topic: Arc::clone(output.topic),
                id: named.id.unwrap_or_default().to_owned(),
                content,
                lane,
                place: self.emitted,
                mark: mark(output.key, output.headers, output.value),
            };
            self.emitted += 1;
            // Nearly each has a name of its own: a list that is made larger at once would have room for four.
            self.emissions.entry(named.name).or_insert_with(|| Vec::with_capacity(1)).push(emission);
        }
    }

    /// Takes what another part of the same replay emitted.
    pub fn extend(&mut self, other: Self) {
        let shift = self.emitted;
        for (name, mut emissions) in other.emissions {
            for emission in &mut emissions {
                emission.place += shift;
            }
            match self.emissions.entry(name) {
                Entry::Vacant(place) => drop(place.insert(emissions)),
                Entry::Occupied(known) => known.into_mut().append(&mut emissions),
            }
        }
        self.causes.extend(other.causes);
        self.emitted += other.emitted;
    }

    /// Compares with what stands in the topics of a service's events: all of it, or what was emitted by units that saw a time between two.
    pub async fn against(
        &mut self,
        service: &Service,
        topics: &Arc<dyn Topics>,
        between: Option<(Timestamp, Timestamp)>,
        mut see: impl FnMut(Joined, &Position, &Record),
    ) -> Result<(), Coded> {
        for topic in service.output_topics() {
            if self.own.contains(topic) {
                continue;
            }
            let partitions = topics.describe(topic).await?.map_or(0, |info| info.partitions);
            for number in 0..partitions {
                let partition = TopicPartition::new(Arc::clone(topic), number);
                let from = match between {
                    None => Some(0),
                    Some((from, _)) => topics.offset_at(&partition, from).await?,
                };
                let Some(from) = from else { continue };
                let mut reader = Reader::new(Arc::clone(topics), partition.clone(), from);
                let mut records = reader.read().await?;
                while !records.is_empty() {
                    for record in &records {
                        see(self.compare(topic, record), &partition.at(record.offset), record);
                    }
                    let is_late = |record: &Record| between.is_some_and(|(_, to)| record.timestamp > to + SLOWEST);
                    records = if records.iter().any(is_late) { Vec::new() } else { reader.read().await? };
                }
            }
        }
        Ok(())
    }

    /// Compares an event that was emitted then; those of a partition in their order.
    fn compare(&mut self, topic: &str, record: &Record) -> Joined {
        let headers = record.headers.as_bytes();
        let named = Named::of(topic, record.key.as_deref(), headers, record.value.as_deref());
        let Some(emissions) = self.emissions.get_mut(&named.name).filter(|emissions| !emissions.is_empty()) else {
            let cause = record.headers.get(headers::CAUSATION_ID);
            let is_ours = record.headers.text(headers::SOURCE) == Some(&self.source);
            let is_caused = cause.is_some_and(|cause| self.causes.contains(&digest_of(&[cause])));
            return if is_ours && is_caused { Joined::Missing } else { Joined::Other };
        };
        let is = mark(record.key.as_deref(), headers, record.value.as_deref());
        let place = emissions.iter().position(|emission| emission.mark == is);
        let is_equal = place.is_some();
        let emission = emissions.remove(place.unwrap_or(0));
        if !is_equal {
            return Joined::Different(Box::new(emission));
        }
        let key = record.key.as_deref().unwrap_or_default();
        let met = self.met.entry(digest_of(&[&emission.lane.to_be_bytes(), topic.as_bytes(), key])).or_default();
        let is_moved = emission.place < *met;
        *met = emission.place.max(*met);
        if is_moved { Joined::Moved(Box::new(emission)) } else { Joined::Equal }
    }

    /// What the replay emits and was not emitted then, in its order.
    pub fn into_extra(self) -> Vec<Emission> {
        let mut extra: Vec<Emission> = self.emissions.into_values().flatten().collect();
        extra.sort_unstable_by_key(|emission| emission.place);
        extra
    }
}

fn digest_of(pieces: &[&[u8]]) -> u128 {
    u128::from_be_bytes(digest(pieces))
}

fn size(output: &Output<'_>) -> usize {
    output.key.map_or(0, <[u8]>::len) + output.headers.len() + output.value.map_or(0, <[u8]>::len)
}

/// What an event is called, for it to be found: by whoever it is from and its id, or by all that it is.
struct Named<'h> {
    name: u128,
    id: Option<&'h str>,
}

impl<'h> Named<'h> {
    fn of(topic: &str, key: Option<&[u8]>, block: &'h [u8], value: Option<&[u8]>) -> Self {
        let Some(id) = headers::find(block, headers::ID) else {
            let name = digest_of(&[topic.as_bytes(), &mark(key, block, value).to_be_bytes()]);
            return Self { name, id: None };
        };
        let source = headers::find(block, headers::SOURCE).unwrap_or_default();
        Self { name: digest_of(&[topic.as_bytes(), source, id]), id: std::str::from_utf8(id).ok() }
    }
}

/// What stands for all of an event.
fn mark(key: Option<&[u8]>, headers: &[u8], value: Option<&[u8]>) -> u128 {
    let there = [u8::from(key.is_some()), u8::from(value.is_some())];
    digest_of(&[&there, key.unwrap_or_default(), headers, value.unwrap_or_default()])
}
