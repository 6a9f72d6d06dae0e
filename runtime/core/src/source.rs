//! One input partition of a shard: how far it is, and what was read of it and not yet taken.

use std::collections::VecDeque;

use crate::planted::{Bug, is_planted};
use crate::ports::Log;
use crate::progress::Progress;
use crate::record::{Record, RecordBatch, TopicPartition};

/// What is left of a batch that was read.
struct Unread {
    records: std::vec::IntoIter<Record>,
    /// Where the log stood behind it.
    next: u64,
}

/// One input partition of a shard.
pub(crate) struct Source {
    pub(crate) partition: TopicPartition,
    /// The topic's place among the service's inputs.
    pub(crate) input: usize,
    pub(crate) progress: Progress,
    /// Whether anything is known of the group's progress. A partition that was never read has none to commit: where it
    /// begins shows with the first record.
    has_begun: bool,
    /// The oldest offset that was read here.
    pub(crate) since: u64,
    /// One past the newest offset that the log accounted for.
    seen: u64,
    /// What is left of the batches that were read.
    unread: VecDeque<Unread>,
    /// One past the newest offset of batches that were taken whole.
    passed: u64,
    unread_bytes: usize,
    paused: bool,
}

impl Source {
    /// A partition whose durable progress is known, or that the group never committed.
    pub(crate) fn new(partition: TopicPartition, input: usize, progress: Option<Progress>) -> Self {
        Self {
            partition,
            input,
            has_begun: progress.is_some(),
            progress: progress.unwrap_or_default(),
            since: 0,
            seen: 0,
            unread: VecDeque::new(),
            passed: 0,
            unread_bytes: 0,
            paused: false,
        }
    }

    /// The progress that a commit has to store.
    pub(crate) fn to_commit(&self) -> Option<(TopicPartition, Progress)> {
        let progress = || {
            let forgets = is_planted(Bug::UndoneForgotten);
            if forgets { Progress::starting_at(self.progress.next()) } else { self.progress.clone() }
        };
        self.has_begun.then(|| (self.partition.clone(), progress()))
    }

    /// Whether anything is known of the group's progress.
    pub(crate) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Takes records in, to be handled by and by. Tells whether progress changed: what was not done and is not in the log any
    /// more will never be.
    pub(crate) fn accept(&mut self, batch: RecordBatch) -> bool {
        let RecordBatch { records, next, .. } = batch;
        let mut changed = false;
        if self.seen == 0 {
            self.since = records.first().map_or(next, |first| first.offset);
            if !self.has_begun {
                self.has_begun = true;
                self.progress = Progress::starting_at(self.since);
                changed = records.is_empty();
            }
        }
        for record in &records {
            if record.offset > self.seen {
                changed |= self.progress.skip(self.seen, record.offset);
            }
            self.seen = record.offset + 1;
            self.unread_bytes += record.size();
        }
        if next > self.seen {
            changed |= self.progress.skip(self.seen, next);
            self.seen = next;
        }
        self.unread.push_back(Unread { records: records.into_iter(), next });
        changed | self.settle()
    }

    /// Leaves batches behind that were taken whole. Called when every record that was taken is known to progress. Tells
    /// whether progress moved over offsets that hold no record.
    pub(crate) fn settle(&mut self) -> bool {
        while let Some(unread) = self.unread.pop_front_if(|unread| unread.records.as_slice().is_empty()) {
            self.passed = self.passed.max(unread.next);
        }
        self.progress.pass(self.passed)
    }

    pub(crate) fn unread_bytes(&self) -> usize {
        self.unread_bytes
    }

    /// The oldest record that was not taken.
    pub(crate) fn first(&self) -> Option<&Record> {
        self.unread.front().and_then(|unread| unread.records.as_slice().first())
    }

    /// Takes the oldest record. Tells too whether its batch ended with it.
    pub(crate) fn take(&mut self) -> (Record, bool) {
        let records = &mut self.unread.front_mut().expect("a record was looked at").records;
        let record = records.next().expect("a record was looked at");
        self.unread_bytes -= record.size();
        (record, records.as_slice().is_empty())
    }

    /// Forgets what was read; it will be read again by whoever owns the partition next.
    pub(crate) fn forget_unread(&mut self) {
        self.unread.clear();
        self.unread_bytes = 0;
    }

    /// Reads no more of a partition that holds more than its share of what may be read ahead, until half of that is taken:
    /// one that cannot go on leaves room for the others.
    pub(crate) fn balance(&mut self, share: usize, log: &mut dyn Log) {
        if !self.paused && self.unread_bytes >= share {
            self.paused = true;
            log.pause(&self.partition);
        } else if self.paused && self.unread_bytes <= share / 2 && !is_planted(Bug::ResumeForgotten) {
            self.paused = false;
            log.resume(&self.partition);
        }
    }
}
