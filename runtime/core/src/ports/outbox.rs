//! The outbox port: events that lie beside somebody's rows until they are sent to the log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::code::Coded;
use crate::headers::Headers;
use crate::time::Timestamp;

/// An event in an outbox. It is unsent because it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Greater than that of every row which its transaction could see.
    pub id: u64,
    /// What no other row ever has, of whatever outbox.
    pub event: [u8; 16],
    /// Where it goes.
    pub topic: Arc<str>,
    /// Which partition it goes to; the key's where that is not said.
    pub partition: Option<u32>,
    /// The record's timestamp.
    pub at: Timestamp,
    /// The record's key.
    pub key: Option<Bytes>,
    /// The record's headers.
    pub headers: Headers,
    /// The record's value.
    pub value: Option<Bytes>,
    /// Why the log did not take it, where it is parked. Others of its topic and key wait behind it.
    pub parked: Option<String>,
}

impl OutboxRow {
    /// Its topic and key, in which rows stand behind one that is parked; a row without a key stands behind none.
    pub fn lane(&self) -> Option<(Arc<str>, Bytes)> {
        self.key.clone().map(|key| (Arc::clone(&self.topic), key))
    }
}

/// What one row is told by: its id, and its event.
pub type Sent = (u64, [u8; 16]);

/// Who may relay an outbox, one holder at a time. It keeps several relays from taking the sender's name from each other again and
/// again; that each row is sent once does not rest on it.
#[derive(Debug, Clone)]
pub struct Lease {
    /// What is relayed.
    pub name: Arc<str>,
    /// Who relays.
    pub holder: Arc<str>,
    /// After what time another one may, where this one says nothing more.
    pub time: Duration,
}

/// Which rows an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those that are parked.
    Parked,
}

/// How much lies in an outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// Rows that will be sent without an operator.
    pub waiting: u64,
    /// Rows that are parked, and those of their topics and keys behind them.
    pub parked: u64,
}

/// What the relay and operators do with an outbox. Whoever puts events into one does so by the adapter's own means, in a transaction.
///
/// Contract: a row is seen from the moment at which its transaction has committed, and until it is deleted; rows of one key whose
/// transactions followed each other have ids in that order. After an error everything but [`open`](Self::open) may fail until that
/// was called again.
#[async_trait]
pub trait Outbox: Send {
    /// Connects, where that is needed. Answers which outbox this is: another one after it was made again, restored to a time before, or
    /// followed by a copy.
    async fn open(&mut self) -> Result<String, Coded>;

    /// Takes the lease, or keeps it, and says whether the relay is about to sleep and wants to be woken. Tells whether it is held.
    async fn hold(&mut self, lease: &Lease, sleeps: bool) -> Result<bool, Coded>;

    /// Gives the lease up, if it is held.
    async fn release(&mut self, lease: &Lease) -> Result<(), Coded>;

    /// The next rows that are not parked and do not wait behind one that is, in the order of their ids: up to `rows` of them, with
    /// `bytes` of values at the most or one more.
    async fn next(&mut self, rows: usize, bytes: usize) -> Result<Vec<OutboxRow>, Coded>;

    /// The number of the last publish under a name whose rows were deleted; 0 before the first.
    async fn publishes(&mut self, name: &str) -> Result<u64, Coded>;

    /// Deletes those of these rows that are there, parked or not, and keeps the number of the publish that they went out with, in one act. A number
    /// that is less than the one that is kept changes nothing of it.
    async fn delete(&mut self, sent: &[Sent], name: &str, publish: u64) -> Result<(), Coded>;

    /// Sets a row aside that the log does not take, and with it those of its topic and key that stand behind it: with greater ids. What
    /// has no key stands behind nothing. Who is not there any more is no error.
    async fn park(&mut self, id: u64, why: &str) -> Result<(), Coded>;

    /// Completes when a row may have come since the lease was held by a relay that sleeps. May complete before that.
    async fn woken(&mut self);

    /// How much there is.
    async fn fill(&mut self) -> Result<Fill, Coded>;

    /// The first `limit` rows behind `after` in the order of their ids, for whoever wants to look at them.
    async fn list(&mut self, which: Which, after: Option<u64>, limit: usize) -> Result<Vec<OutboxRow>, Coded>;

    /// Lets a parked row be sent after all, and keeps why. Tells whether there was one.
    async fn retry(&mut self, id: u64, reason: &str) -> Result<bool, Coded>;

    /// Deletes a parked row that is to be sent never, and keeps why. Tells whether there was one.
    async fn discard(&mut self, id: u64, reason: &str) -> Result<bool, Coded>;
}
