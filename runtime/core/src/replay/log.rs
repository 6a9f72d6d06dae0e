//! What a replay reads: records by their offsets, and the pages of a journal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::code::{Code, Coded};
use crate::journal::{self, Page};
use crate::ports::Topics;
use crate::record::{Record, TopicPartition};

/// Records that are read at once; more where they are small.
const BATCH: usize = 1_000;
const MOST: usize = 32_768;
/// Bytes of records that are read at once, if they are as large as those before.
const BATCH_BYTES: usize = 16 << 20;

/// Records of one partition, one batch after the other.
struct Ahead {
    topics: Arc<dyn Topics>,
    partition: TopicPartition,
    next: u64,
    limit: usize,
    is_at_end: bool,
}

impl Ahead {
    fn new(topics: Arc<dyn Topics>, partition: TopicPartition, next: u64) -> Self {
        Self { topics, partition, next, limit: BATCH, is_at_end: false }
    }

    /// The next batch; none at the end.
    async fn read(&mut self) -> Result<Vec<Record>, Coded> {
        if self.is_at_end {
            return Ok(Vec::new());
        }
        let batch = self.topics.records(&self.partition, self.next, self.limit).await?;
        self.next = batch.next.max(self.next);
        self.is_at_end = batch.records.len() < self.limit;
        let bytes: usize = batch.records.iter().map(Record::size).sum();
        self.limit = (BATCH_BYTES / (bytes / self.limit).max(1)).clamp(BATCH, MOST);
        Ok(batch.records)
    }
}

/// Records of one partition in nearly the order of their offsets.
pub(super) struct Records {
    ahead: Ahead,
    unread: VecDeque<Record>,
    /// Those that were passed over: their units ended later than those of records behind them.
    passed: BTreeMap<u64, Record>,
}

impl Records {
    /// Those from this offset on.
    pub(super) fn new(topics: Arc<dyn Topics>, partition: TopicPartition, from: u64) -> Self {
        Self { ahead: Ahead::new(topics, partition, from), unread: VecDeque::new(), passed: BTreeMap::new() }
    }

    /// The record at this offset. What is passed over on the way is kept, but for what `is_nobodys`. One that is not there any more is an
    /// error (TM-0902).
    pub(super) async fn take(&mut self, offset: u64, is_nobodys: impl Fn(&Record) -> bool) -> Result<Record, Coded> {
        if let Some(record) = self.passed.remove(&offset) {
            return Ok(record);
        }
        loop {
            match self.unread.front() {
                Some(record) if record.offset < offset => {
                    let record = self.unread.pop_front().expect("it was looked at");
                    if !is_nobodys(&record) {
                        self.passed.insert(record.offset, record);
                    }
                }
                Some(record) if record.offset == offset => {
                    return Ok(self.unread.pop_front().expect("it was looked at"));
                }
                // It lies before what is read.
                Some(_) => return self.fetch(offset).await,
                None => {
                    let batch = self.ahead.read().await?;
                    if batch.is_empty() {
                        return self.fetch(offset).await;
                    }
                    self.unread.extend(batch);
                }
            }
        }
    }

    async fn fetch(&self, offset: u64) -> Result<Record, Coded> {
        let Ahead { topics, partition, .. } = &self.ahead;
        let batch = topics.records(partition, offset, 1).await?;
        batch.records.into_iter().find(|record| record.offset == offset).ok_or_else(|| {
            let message =
                format!("the journal tells of the record at {}, which is not in the log", partition.at(offset));
            Coded::new(Code::RANGE_NOT_KEPT, message)
        })
    }
}

/// The pages of one shard's journal, in their order.
pub(super) struct Pages {
    ahead: Ahead,
    unread: VecDeque<Record>,
}

impl Pages {
    /// Those from this offset of the journal on.
    pub(super) fn new(topics: Arc<dyn Topics>, partition: TopicPartition, from: u64) -> Self {
        Self { ahead: Ahead::new(topics, partition, from), unread: VecDeque::new() }
    }

    /// The next page, and the offset at which it stands. A record that is no page is an error (TM-0901).
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Page)>, Coded> {
        if self.unread.is_empty() {
            self.unread.extend(self.ahead.read().await?);
        }
        let Some(record) = self.unread.pop_front() else { return Ok(None) };
        let unusable = |why: String| {
            let position = self.ahead.partition.at(record.offset);
            Coded::new(
                Code::JOURNAL_INCOMPLETE,
                format!("{position} is no page of a journal that this build reads: {why}"),
            )
        };
        match journal::read(&record) {
            Some(Ok(page)) => Ok(Some((record.offset, page))),
            Some(Err(error)) => Err(unusable(error.to_string())),
            None => Err(unusable("it is something else".to_owned())),
        }
    }
}
