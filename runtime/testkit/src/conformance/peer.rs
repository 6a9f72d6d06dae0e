//! A member of a group, polled by hand, with everything it was told. It checks by itself what holds in every check.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};

use tidemill_core::ports::{Committing, Generation, Log, LogEvent, Member, Start};
use tidemill_core::progress::Progress;
use tidemill_core::record::{Record, RecordBatch, TopicPartition};

/// Room for all records of any check.
pub(super) const PLENTY: usize = 1 << 20;

/// A member of a group.
pub(super) struct Peer {
    pub(super) log: Box<dyn Log>,
    pub(super) commits: Committing,
    /// What it owns.
    pub(super) held: BTreeMap<TopicPartition, Generation>,
    /// What was asked back and is not released.
    pub(super) asked: BTreeSet<TopicPartition>,
    /// What it lost, ever.
    pub(super) lost: BTreeSet<TopicPartition>,
    /// Whether it is to begin nothing new.
    pub(super) paused: bool,
    /// What it read, in the order in which it came.
    pub(super) read: Vec<(TopicPartition, Record)>,
    /// Room that each poll gives.
    pub(super) room: usize,
    /// Whether it begins to read, from the beginning, what it is given.
    pub(super) starts: bool,
    /// Whether it gives up at once what is asked back.
    pub(super) gives: bool,
    pub(super) progress: BTreeMap<TopicPartition, Progress>,
    /// Where the log stands in what is being read: nothing before it may come.
    reached: BTreeMap<TopicPartition, u64>,
}

impl Peer {
    pub(super) fn new(member: Member) -> Self {
        Self {
            log: member.log,
            commits: member.commits,
            held: BTreeMap::new(),
            asked: BTreeSet::new(),
            lost: BTreeSet::new(),
            paused: false,
            read: Vec::new(),
            room: PLENTY,
            starts: true,
            gives: false,
            progress: BTreeMap::new(),
            reached: BTreeMap::new(),
        }
    }

    /// Takes what the log has. Tells whether there was anything.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut batches = Vec::new();
        let Poll::Ready(answer) = self.log.poll(cx, self.room, &mut batches) else { return false };
        match answer.expect("a log that works answers") {
            Some(LogEvent::Assigned { partitions, generation }) => {
                for partition in partitions {
                    if self.starts {
                        self.start(&partition, Start::Earliest);
                    }
                    assert_eq!(self.held.insert(partition, generation), None, "assigned what it held");
                }
            }
            Some(LogEvent::Revoked { partitions, .. }) => {
                assert!(
                    partitions.iter().all(|partition| self.held.contains_key(partition)),
                    "asked for what it had not"
                );
                self.asked.extend(partitions);
                if self.gives {
                    self.release_all();
                }
            }
            Some(LogEvent::Lost { partitions }) => {
                for partition in partitions {
                    assert!(self.held.remove(&partition).is_some(), "lost what it had not");
                    self.asked.remove(&partition);
                    self.reached.remove(&partition);
                    self.lost.insert(partition);
                }
            }
            Some(LogEvent::Paused) => self.paused = true,
            Some(LogEvent::Resumed) => self.paused = false,
            None => assert!(!batches.is_empty(), "ready, and nothing there"),
        }
        for batch in batches {
            self.take(batch);
        }
        true
    }

    fn take(&mut self, batch: RecordBatch) {
        let RecordBatch { source, records, next } = batch;
        assert!(self.held.contains_key(&source), "records of {source}, which it does not hold");
        assert!(self.room > 0 || records.is_empty(), "records of {source} without room");
        let reached = self.reached.entry(source.clone()).or_default();
        assert!(!records.is_empty() || next > *reached, "ready, and nothing there: {source} stands at {next} again");
        for record in &records {
            assert!(record.offset >= *reached, "{} of {source} after {reached} was reached", record.offset);
            *reached = record.offset + 1;
        }
        assert!(next >= *reached, "{source} stands at {next}, and its records came up to {reached}");
        *reached = next;
        self.read.extend(records.into_iter().map(|record| (source.clone(), record)));
    }

    /// Begins to read a partition, again if it is being read.
    pub(super) fn start(&mut self, partition: &TopicPartition, from: Start) {
        let begin = if let Start::Offset(offset) = from { offset } else { 0 };
        self.reached.insert(partition.clone(), begin);
        self.log.start(partition, from).expect("it is there");
    }

    /// Where the log stands in a partition.
    pub(super) fn reached(&self, partition: &TopicPartition) -> u64 {
        self.reached.get(partition).copied().unwrap_or_default()
    }

    /// Gives up everything that was asked back.
    pub(super) fn release_all(&mut self) {
        let partitions: Vec<TopicPartition> = std::mem::take(&mut self.asked).into_iter().collect();
        for partition in &partitions {
            self.held.remove(partition);
            self.reached.remove(partition);
        }
        self.log.release(&partitions);
    }

    /// The numbers that the records it read of a partition carry, see [`Scene::publish`](super::scene::Scene::publish).
    pub(super) fn numbers(&self, partition: &TopicPartition) -> Vec<u64> {
        let of_partition = self.read.iter().filter(|(source, _)| source == partition);
        of_partition.map(|(_, record)| number(record)).collect()
    }
}

/// The number that a record carries.
pub(super) fn number(record: &Record) -> u64 {
    let value = record.value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
    value.and_then(|value| value.parse().ok()).expect("the record of a number")
}
