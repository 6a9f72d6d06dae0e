//! What a replay reads: records by their offsets, and the pages of a journal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::code::{Code, Coded};
use crate::journal::{self, Page};
use crate::ports::Topics;
use crate::reader::Reader;
use crate::record::{Record, TopicPartition};

/// Records of one partition in nearly the order of their offsets.
pub(super) struct Records {
    reader: Reader,
    unread: VecDeque<Record>,
    /// Those that were passed over: their units ended later than those of records behind them.
    passed: BTreeMap<u64, Record>,
}

impl Records {
    /// Those from this offset on.
    pub(super) fn new(topics: Arc<dyn Topics>, partition: TopicPartition, from: u64) -> Self {
        Self { reader: Reader::new(topics, partition, from), unread: VecDeque::new(), passed: BTreeMap::new() }
    }

    /// The record at this offset. What is passed over on the way is kept, but for what `is_nobodys`; where it lies before what was read, the
    /// service went back, and reading does too. One that is not there any more is an error (TM-0902).
    pub(super) async fn take(&mut self, offset: u64, is_nobodys: impl Fn(&Record) -> bool) -> Result<Record, Coded> {
        if let Some(record) = self.passed.remove(&offset) {
            return Ok(record);
        }
        let mut went_back = false;
        loop {
            match self.unread.front() {
                Some(record) if record.offset < offset => {
                    let record = self.unread.pop_front().expect("it was looked at");
                    if !is_nobodys(&record) {
                        self.passed.insert(record.offset, record);
                    }
                    continue;
                }
                Some(record) if record.offset == offset => {
                    return Ok(self.unread.pop_front().expect("it was looked at"));
                }
                Some(_) => {}
                None => {
                    self.unread.extend(self.reader.read().await?);
                    if !self.unread.is_empty() {
                        continue;
                    }
                }
            }
            if went_back {
                let position = self.reader.partition().at(offset);
                let message = format!("the journal tells of the record at {position}, which is not in the log");
                return Err(Coded::new(Code::RANGE_NOT_KEPT, message));
            }
            went_back = true;
            self.reader = self.reader.again_from(offset);
            self.unread.clear();
            self.passed.clear();
        }
    }
}

/// The pages of one shard's journal, in their order.
pub(crate) struct Pages {
    reader: Reader,
    unread: VecDeque<Record>,
}

impl Pages {
    /// Those from this offset of the journal on.
    pub(crate) fn new(topics: Arc<dyn Topics>, partition: TopicPartition, from: u64) -> Self {
        Self { reader: Reader::new(topics, partition, from), unread: VecDeque::new() }
    }

    /// The next page, and the offset at which it stands. A record that is no page is an error (TM-0901).
    pub(crate) async fn next(&mut self) -> Result<Option<(u64, Page)>, Coded> {
        if self.unread.is_empty() {
            self.unread.extend(self.reader.read().await?);
        }
        let Some(record) = self.unread.pop_front() else { return Ok(None) };
        let unusable = |why: String| {
            let position = self.reader.partition().at(record.offset);
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
