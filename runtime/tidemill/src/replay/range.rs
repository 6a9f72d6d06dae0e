//! Which part of a service's input is meant.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Topics;
use tidemill_core::record::{Position, TopicPartition};
use tidemill_core::replay::Bounds;
use tidemill_core::service::Service;
use tidemill_core::time::Timestamp;

use crate::config::duration;

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// This offset of every input partition.
    Offset(u64),
    /// This record; no other partition is meant.
    Position(Position),
    /// The first record with this timestamp or a later one.
    Time(Timestamp),
    /// So long after the other end.
    After(Duration),
}

/// What cannot be read as one end of a range.
const FORMS: &str =
    "it has to be an offset, a position such as orders-0@17, a time such as @2026-11-01T10:00, or @+15m at the end";

impl FromStr for Edge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = match text.split_once('@') {
            None => text.parse().ok().map(Self::Offset),
            Some(("", time)) => match time.strip_prefix('+') {
                Some(after) => duration(after).map(Self::After),
                None => parse_time(time).map(Self::Time),
            },
            Some((place, offset)) => position(place, offset).map(Self::Position),
        };
        found.ok_or_else(|| FORMS.to_owned())
    }
}

fn position(place: &str, offset: &str) -> Option<Position> {
    let (topic, partition) = place.rsplit_once('-')?;
    Some(TopicPartition::new(topic, partition.parse().ok()?).at(offset.parse().ok()?))
}

/// A time in RFC 3339, of which seconds and zone may be left out: it is UTC then.
fn parse_time(text: &str) -> Option<Timestamp> {
    let forms = [text.to_owned(), format!("{text}Z"), format!("{text}:00Z"), format!("{text}T00:00:00Z")];
    forms.iter().find_map(|form| Timestamp::parse(form))
}

/// A part of a service's input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Where it begins; at the beginning unless said otherwise.
    pub from: Option<Edge>,
    /// What it ends before; all there is unless said otherwise.
    pub to: Option<Edge>,
    /// The last so many records of each input partition.
    pub last: Option<u64>,
}

fn usage(message: impl Into<String>) -> Coded {
    Coded::new(Code::BAD_VALUE, message)
}

impl Range {
    /// The bounds of each shard that is meant. A range that lies outside of what the log keeps is an error (TM-0902).
    pub(super) async fn resolve(
        &self,
        service: &Service,
        topics: &Arc<dyn Topics>,
        shards: u32,
    ) -> Result<BTreeMap<u32, Bounds>, Coded> {
        self.check_named(service, shards)?;
        let named = self.named().next().map(|position| position.source.clone());
        let mut all = BTreeMap::new();
        for shard in (0..shards).filter(|shard| named.as_ref().is_none_or(|named| named.partition == *shard)) {
            let mut bounds = Bounds::default();
            for topic in service.input_topics() {
                let partition = TopicPartition::new(Arc::clone(topic), shard);
                let (from, to) = if named.as_ref().is_none_or(|named| *named == partition) {
                    let (oldest, end) = topics.offsets(&partition).await?;
                    (self.begin(topics, &partition, oldest, end).await?, self.end(topics, &partition, end).await?)
                } else {
                    (Some(0), Some(0))
                };
                bounds.from.extend(from.map(|from| (Arc::clone(topic), from)));
                bounds.to.extend(to.map(|to| (Arc::clone(topic), to)));
            }
            all.insert(shard, bounds);
        }
        Ok(all)
    }

    fn named(&self) -> impl Iterator<Item = &Position> {
        [&self.from, &self.to].into_iter().flatten().filter_map(|edge| match edge {
            Edge::Position(position) => Some(position),
            _ => None,
        })
    }

    /// Records that are named stand in partitions that there are, both in the same.
    fn check_named(&self, service: &Service, shards: u32) -> Result<(), Coded> {
        let mut partition = None;
        for position in self.named() {
            let TopicPartition { topic, partition: number } = &position.source;
            if service.input_topics().all(|known| known != topic) || *number >= shards {
                let message = format!("service {} reads no {}", service.name(), position.source);
                return Err(Coded::new(Code::UNKNOWN_NAME, message));
            }
            if *partition.get_or_insert(&position.source) != &position.source {
                return Err(usage("a range that is given by two records has to lie in one partition"));
            }
        }
        Ok(())
    }

    /// The first offset of a partition that is meant; `None` where it is meant from its beginning on.
    async fn begin(
        &self,
        topics: &Arc<dyn Topics>,
        partition: &TopicPartition,
        oldest: u64,
        end: u64,
    ) -> Result<Option<u64>, Coded> {
        if let Some(last) = self.last {
            return Ok(Some(end.saturating_sub(last).max(oldest)));
        }
        Ok(match &self.from {
            None => None,
            Some(Edge::Time(at)) => topics.offset_at(partition, *at).await?.or(Some(end)),
            Some(Edge::After(_)) => return Err(usage("a range cannot begin so long after its own beginning")),
            Some(Edge::Offset(offset) | Edge::Position(Position { offset, .. })) => {
                // Where offsets are meant of all partitions, some may be shorter.
                let is_one = matches!(self.from, Some(Edge::Position(_)));
                if *offset < oldest || is_one && *offset >= end {
                    let message = format!("{} is not in the log: it holds {oldest} to {end}", partition.at(*offset));
                    return Err(Coded::new(Code::RANGE_NOT_KEPT, message));
                }
                Some(*offset)
            }
        })
    }

    /// The first offset of a partition behind what is meant; `None` where it is meant to its end.
    async fn end(&self, topics: &Arc<dyn Topics>, partition: &TopicPartition, end: u64) -> Result<Option<u64>, Coded> {
        let at = match (&self.to, &self.from) {
            (None, _) => return Ok(None),
            (Some(Edge::Offset(offset) | Edge::Position(Position { offset, .. })), _) => return Ok(Some(*offset)),
            (Some(Edge::Time(at)), _) => *at,
            (Some(Edge::After(after)), Some(Edge::Time(at))) => *at + *after,
            (Some(Edge::After(_)), _) => return Err(usage("@+TIME ends a range that begins at a time")),
        };
        Ok(Some(topics.offset_at(partition, at).await?.unwrap_or(end)))
    }
}

#[cfg(test)]
mod tests;
