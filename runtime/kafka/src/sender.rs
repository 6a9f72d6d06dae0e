//! Publishes exactly once: a transactional id that one holder at a time has, and a compacted topic with the receipt of the last
//! transaction.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tidemill_core::code::Coded;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Answer, Change, Sender};
use tidemill_core::record::TopicPartition;

use crate::broker::{PATIENCE, Shared, lock};
use crate::changelog;
use crate::failure::Failure;
use crate::transaction::{Content, Transactions};

/// The topic's only partition.
const PARTITION: u32 = 0;
/// Offsets from the end in which the last receipt is looked for first: each transaction takes two, one that was undone too.
const LAST: u64 = 64;
/// The only key there.
const RECEIPT: &[u8] = b"receipt";

/// Publishes under a name, which is that of the topic and of the transactional id.
pub(crate) struct KafkaSender {
    shared: Arc<Shared>,
    name: Arc<str>,
    transactions: Arc<Mutex<Transactions>>,
}

impl KafkaSender {
    pub(crate) fn new(shared: Arc<Shared>, name: &str) -> Self {
        let transactions = Transactions::taken(shared.clients.clone(), name.to_owned());
        Self { shared, name: name.into(), transactions: Arc::new(Mutex::new(transactions)) }
    }
}

impl Shared {
    /// The receipt of the last transaction under a name. Nobody else opens one meanwhile.
    fn receipt(&self, name: &str) -> Result<Option<Bytes>, Coded> {
        let source = TopicPartition::new(name, PARTITION);
        self.need(name)?;
        let cannot = |failure: Failure| failure.coded(format!("the end of {source} cannot be read"));
        let (start, end) = self.ask_offsets(&source).map_err(cannot)?;
        let (mut receipt, mut back) = (None, LAST);
        if start == end {
            return Ok(None);
        }
        let client = Arc::new(self.clients.reader(name, 1)?);
        let deadline = self.clock.now() + PATIENCE;
        loop {
            // The topic is compacted now and then only, and what counts stands at its end.
            let from = end.saturating_sub(back).max(start);
            changelog::read_whole(&client, &source, (from, end), &|| self.clock.now() < deadline, |changes| {
                receipt = changes.into_iter().next_back().map_or(receipt.take(), |change| change.value);
                Ok(())
            })?;
            if receipt.is_some() || from == start {
                return Ok(receipt);
            }
            back *= 8;
        }
    }
}

#[async_trait]
impl Sender for KafkaSender {
    async fn take(&mut self) -> Result<Option<Bytes>, Coded> {
        let (shared, name, transactions) =
            (Arc::clone(&self.shared), Arc::clone(&self.name), Arc::clone(&self.transactions));
        let taken = self.shared.away(move || {
            lock(&transactions).take(shared.clock.now())?;
            shared.receipt(&name)
        });
        taken.await?
    }

    async fn send(&mut self, outputs: Outputs, receipt: Bytes) -> Answer {
        let (shared, name, transactions) =
            (Arc::clone(&self.shared), Arc::clone(&self.name), Arc::clone(&self.transactions));
        let sent = self.shared.away(move || {
            let change = Change { key: Bytes::from_static(RECEIPT), value: Some(receipt) };
            let changes = [(PARTITION, vec![change])];
            let now = shared.clock.now();
            lock(&transactions).run(&Content {
                outputs: &outputs,
                changes: Some((&name, &changes)),
                offsets: None,
                now,
            })
        });
        sent.await.unwrap_or_else(Answer::Unknown)
    }
}
