//! What a scripted broker holds: plain maps, and the rules by which commits change them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::code::{Code, Coded};
use tidemill_core::headers::Headers;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Change, CommitBatch, Done, Generation, LogEvent, UnitEffects};
use tidemill_core::progress::Progress;
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::time::Timestamp;

use super::Plan;
use crate::fakes::Crash;

/// The records of one partition; offsets may be missing.
#[derive(Default)]
pub(super) struct Partition {
    pub(super) records: BTreeMap<u64, Record>,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Partition {
    pub(super) fn append(&mut self, record: Record) -> u64 {
        let offset = self.end;
        self.records.insert(offset, Record { offset, ..record });
        self.end += 1;
        offset
    }
}

pub(super) struct Topic {
    pub(super) id: Arc<str>,
    pub(super) partitions: Vec<Partition>,
}

/// A member of a group.
pub(super) struct Seat {
    pub(super) topics: Vec<Arc<str>>,
    pub(super) events: VecDeque<LogEvent>,
    pub(super) waker: Option<Waker>,
    pub(super) leaves: bool,
}

/// Who owns a partition.
pub(super) struct Owner {
    pub(super) member: Arc<str>,
    pub(super) generation: Generation,
    /// When it is taken away, once it was asked back. Counted in what passed, not in the time of day.
    pub(super) deadline: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) members: BTreeMap<Arc<str>, Seat>,
    pub(super) owners: BTreeMap<TopicPartition, Owner>,
    pub(super) progress: BTreeMap<TopicPartition, Progress>,
    /// What single units left: the offsets that are done and not yet folded.
    pub(super) done: BTreeMap<TopicPartition, BTreeSet<u64>>,
    pub(super) state: BTreeMap<(u32, Bytes), Bytes>,
    pub(super) is_paused: bool,
}

pub(super) struct World {
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    pub(super) numbers: u64,
    pub(super) by_hand: bool,
    /// Offsets that each commit and publish takes behind its records, in every partition that it writes to.
    pub(super) markers: u64,
    pub(super) drain: Duration,
    /// What becomes of the next commits, and of those after.
    pub(super) plans: VecDeque<Plan>,
    pub(super) usual: Plan,
    /// Calls of ports that are answered before the process ends.
    pub(super) fuel: Option<u64>,
    pub(super) calls: u64,
    pub(super) broken_reads: usize,
    pub(super) commits: usize,
    pub(super) largest_value: usize,
    /// What the broker tells of the records that topics take.
    pub(super) largest_told: Option<usize>,
}

impl World {
    /// Counts a call of a port; ends the process when it had enough of them.
    pub(super) fn spend(&mut self) {
        self.calls += 1;
        if let Some(fuel) = &mut self.fuel {
            if *fuel == 0 {
                resume_unwind(Box::new(Crash));
            }
            *fuel -= 1;
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn partition(&self, partition: &TopicPartition) -> Result<&Partition, Coded> {
        let topic = self.topics.get(&partition.topic);
        let found = topic.and_then(|topic| topic.partitions.get(partition.partition as usize));
        found.ok_or_else(|| Coded::new(Code::TOPIC_MISSING, format!("{partition} does not exist")))
    }

    /// Wakes every member: records came, or ownership moved.
    pub(super) fn wake_all(&mut self) {
        for seat in self.groups.values_mut().flat_map(|group| group.members.values_mut()) {
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
    }

    pub(super) fn append(&mut self, outputs: &Outputs) -> Result<(), Coded> {
        for output in outputs.iter() {
            let known = self.topics.get(output.topic).map_or(0, |topic| topic.partitions.len());
            if output.partition as usize >= known {
                return Err(Coded::new(Code::TOPIC_MISSING, format!("topic {} has {known} partitions", output.topic)));
            }
            if output.value.is_some_and(|value| value.len() > self.largest_value) {
                return Err(Coded::new(Code::EFFECTS_REFUSED, "the script says: too large"));
            }
        }
        let mut written = BTreeSet::new();
        for output in outputs.iter() {
            written.insert((output.topic, output.partition));
            let topic = self.topics.get_mut(output.topic).expect("looked up above");
            topic.partitions[output.partition as usize].append(Record {
                offset: 0,
                timestamp: output.timestamp,
                key: output.key.map(Bytes::copy_from_slice),
                value: output.value.map(Bytes::copy_from_slice),
                headers: Headers::from_bytes(Bytes::copy_from_slice(output.headers)),
            });
        }
        for (topic, partition) in written {
            let topic = self.topics.get_mut(topic).expect("looked up above");
            topic.partitions[partition as usize].end += self.markers;
        }
        self.wake_all();
        Ok(())
    }

    /// Whether a member owns all of a shard under this generation.
    pub(super) fn check(&self, who: &Who, shard: u32, generation: Generation) -> Result<(), Coded> {
        let fenced =
            || Coded::new(Code::FENCED, format!("shard {shard} of {} is not {}'s any more", who.group, who.member));
        let group = self.groups.get(&who.group).ok_or_else(fenced)?;
        let topics = group.members.get(&who.member).map(|seat| &seat.topics).ok_or_else(fenced)?;
        let owns = |topic: &Arc<str>| {
            let owner = group.owners.get(&TopicPartition::new(Arc::clone(topic), shard));
            owner.is_some_and(|owner| owner.member == who.member && owner.generation <= generation)
        };
        if topics.iter().all(owns) { Ok(()) } else { Err(fenced()) }
    }

    fn change(&mut self, group: &Arc<str>, shard: u32, changes: &[Change]) {
        let state = &mut self.groups.entry(Arc::clone(group)).or_default().state;
        for change in changes {
            let key = (shard, change.key.clone());
            match &change.value {
                Some(value) => state.insert(key, value.clone()),
                None => state.remove(&key),
            };
        }
    }

    /// Applies a batch, or the progress of a fold, whole or not at all.
    pub(super) fn apply(&mut self, who: &Who, batch: &CommitBatch) -> Result<(), Coded> {
        for part in &batch.shards {
            part.fenced_by().map(drop)?;
            self.check(who, part.shard, part.generation)?;
        }
        self.append(&batch.outputs)?;
        for part in &batch.shards {
            self.change(&who.group, part.shard, &part.changes);
            let group = self.groups.entry(Arc::clone(&who.group)).or_default();
            for (partition, progress) in &part.progress {
                if let Some(done) = group.done.get_mut(partition) {
                    done.retain(|offset| !progress.is_done(*offset));
                }
                group.progress.insert(partition.clone(), progress.clone());
            }
        }
        self.commits += 1;
        Ok(())
    }

    /// Applies one unit. `Ok(false)` for a record that is done already, or what may be written once and is there.
    pub(super) fn apply_unit(
        &mut self,
        who: &Who,
        (shard, generation): (u32, Generation),
        effects: &UnitEffects,
    ) -> Result<bool, Coded> {
        self.check(who, shard, generation)?;
        let is_done = |done: &Done| {
            let progress = self.progress(&who.group, &done.position.source);
            progress.is_some_and(|progress| progress.is_done(done.position.offset))
        };
        let state = self.groups.get(&who.group).map(|group| &group.state);
        let is_there = |key: &Bytes| state.is_some_and(|state| state.contains_key(&(shard, key.clone())));
        if effects.done.as_ref().is_some_and(is_done) || effects.once.as_ref().is_some_and(is_there) {
            return Ok(false);
        }
        self.append(&effects.outputs)?;
        self.change(&who.group, shard, &effects.changes);
        if let Some(Done { position, since }) = &effects.done {
            let group = self.groups.entry(Arc::clone(&who.group)).or_default();
            group.progress.entry(position.source.clone()).or_insert_with(|| Progress::starting_at(*since));
            group.done.entry(position.source.clone()).or_default().insert(position.offset);
        }
        self.commits += 1;
        Ok(true)
    }

    /// The durable progress of a group, with what single units left.
    pub(super) fn progress(&self, group: &str, partition: &TopicPartition) -> Option<Progress> {
        let group = self.groups.get(group)?;
        let mut progress = group.progress.get(partition)?.clone();
        for offset in group.done.get(partition).into_iter().flatten() {
            progress.done_ahead(*offset);
        }
        Some(progress)
    }

    /// The offset of the first record with this timestamp or a later one.
    pub(super) fn offset_at(&self, partition: &TopicPartition, at: Timestamp) -> Result<Option<u64>, Coded> {
        let mut records = self.partition(partition)?.records.values();
        Ok(records.find(|record| record.timestamp >= at).map(|record| record.offset))
    }
}

/// A member of a group.
#[derive(Clone)]
pub(super) struct Who {
    pub(super) group: Arc<str>,
    pub(super) member: Arc<str>,
}
