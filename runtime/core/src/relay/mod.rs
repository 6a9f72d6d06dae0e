//! The relay: what lies in an outbox goes to the log, each row exactly once.
//!
//! A row is unsent because it is there. The relay sends rows in the order of their ids, with a receipt that names them in the same
//! act, and deletes them. Whoever relays next takes the sender's name, which ends what was under way, reads the receipt, and deletes
//! what it names. The lease only keeps several relays from taking the name from each other again and again.

mod receipt;
mod records;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};

use crate::code::{Code, Coded};
use crate::outputs::Outputs;
use crate::ports::{Answer, Broker, Clock, Lease, Observer, Outbox, OutboxRow, Sender};
use receipt::Receipt;
use records::{Records, Sorted, Unfit};

/// Rows of one publish, at the most.
const ROWS: usize = 2_000;
/// Bytes of their values: the row that goes beyond is the last.
const BYTES: usize = 8 * 1024 * 1024;
/// How long the relay sleeps where nobody wakes it.
const POLL: Duration = Duration::from_millis(250);
/// How long it waits before it tries again what failed.
const PAUSE: Duration = Duration::from_millis(200);
/// A lease is renewed when so much of it is over.
const RENEW: u32 = 3;
/// How long a relay that stops waits for its lease to be given up.
const LEAVE: Duration = Duration::from_secs(1);

/// Rows went to the log.
#[derive(Debug, Clone, Copy)]
pub struct Relayed {
    /// How many.
    pub rows: usize,
    /// How long the oldest of them had waited since the time that its record carries.
    pub waited: Duration,
}

/// Sends what lies in an outbox.
pub struct Relay {
    sender: Box<dyn Sender>,
    outbox: Box<dyn Outbox>,
    lease: Lease,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    records: Records,
    /// Rows of the next publish, at the most: fewer while one is looked for that is refused.
    rows: usize,
    sent: u64,
    /// How many it had sent when it told last that it stands still.
    told: Option<u64>,
    /// Which outbox it is connected to.
    here: String,
    /// The number of the last publish.
    publish: u64,
}

/// What one look at the outbox came to.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Rows were sent, or one was parked: there may be more.
    Moved,
    /// There was nothing.
    Empty,
    /// The lease has to be looked at, and the name to be taken again.
    Lost,
}

impl Relay {
    /// Prepares a relay between an outbox and a log. It publishes under the lease's name.
    pub fn new(
        log: &Arc<dyn Broker>,
        outbox: Box<dyn Outbox>,
        lease: Lease,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Coded> {
        let (sender, records) = (log.sender(&lease.name)?, Records::new(log.topics()));
        let (rows, sent, told, here, publish) = (ROWS, 0, None, String::new(), 0);
        Ok(Self { sender, outbox, lease, clock, observer, records, rows, sent, told, here, publish })
    }

    /// How many rows it has sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Relays until `stopped`, and gives the lease up then. An outbox or a log that does not answer is tried until it does.
    pub async fn run(&mut self, stopped: impl Future<Output = ()>) -> Result<(), Coded> {
        let mut stopped = pin!(stopped);
        loop {
            let failed = {
                let relaying = pin!(self.relay());
                match select(relaying, stopped.as_mut()).await {
                    Either::Left((Err(cause), _)) => Some(cause),
                    Either::Right(_) => None,
                }
            };
            // Whoever reaches what this one does not may try.
            self.leave().await;
            let Some(cause) = failed else { return Ok(()) };
            let may_pass = [
                Code::DATABASE_UNREACHABLE,
                Code::BROKER_UNREACHABLE,
                Code::DATABASE_READ_ONLY,
                // Other transactions were in the way, or the server had a trouble of its own.
                Code::BACKEND_FAILED,
            ];
            if !may_pass.contains(&cause.code) {
                return Err(cause);
            }
            self.waits(&cause);
            if let Either::Right(_) = select(self.clock.sleep(PAUSE), stopped.as_mut()).await {
                return Ok(());
            }
        }
    }

    /// Gives the lease up, so that another relay need not wait until it is over. One that cannot be given up ends by itself.
    async fn leave(&mut self) {
        let given_up = self.outbox.release(&self.lease);
        drop(select(given_up, self.clock.sleep(LEAVE)).await);
    }

    /// Relays until something fails.
    async fn relay(&mut self) -> Result<Infallible, Coded> {
        self.here = self.outbox.open().await?;
        loop {
            while !self.outbox.hold(&self.lease, false).await? {
                self.clock.sleep(self.lease.time / RENEW).await;
            }
            self.take().await?;
            // Taking the name may have lasted for longer than the lease.
            if self.outbox.hold(&self.lease, false).await? {
                self.work().await?;
            }
        }
    }

    /// Sends for as long as the lease and the name are held.
    async fn work(&mut self) -> Result<(), Coded> {
        let (mut renewed, mut sleeps) = (self.clock.now(), false);
        loop {
            let mut is_due = self.clock.now().since(renewed) >= self.lease.time / RENEW;
            match self.turn().await? {
                Turn::Lost => return Ok(()),
                // Nobody needs to wake it for as long as there is something to do.
                Turn::Moved => is_due |= std::mem::take(&mut sleeps),
                Turn::Empty => {
                    is_due |= !std::mem::replace(&mut sleeps, true);
                    if is_due && !self.outbox.hold(&self.lease, true).await? {
                        return Ok(());
                    }
                    if std::mem::take(&mut is_due) {
                        // What came before it said that it sleeps woke nobody.
                        renewed = self.clock.now();
                        continue;
                    }
                    drop(select(pin!(self.outbox.woken()), self.clock.sleep(POLL)).await);
                }
            }
            if is_due {
                if !self.outbox.hold(&self.lease, sleeps).await? {
                    return Ok(());
                }
                renewed = self.clock.now();
            }
        }
    }

    /// Takes the name, and deletes what was sent under it last.
    async fn take(&mut self) -> Result<(), Coded> {
        let receipt = self.sender.take().await?;
        let deleted = self.outbox.publishes(&self.lease.name).await?;
        let Some(receipt) = receipt else {
            self.publish = deleted;
            return Ok(());
        };
        let Receipt { outbox, publish, rows } = Receipt::read(&receipt).ok_or_else(|| {
            let message = format!("what was sent last as {} cannot be read", self.lease.name);
            Coded::new(Code::STATE_UNREADABLE, message)
        })?;
        // What is older than the last publish but one was restored: rows are there again that were sent. What is newer was sent elsewhere.
        if outbox != self.here || ![publish, publish.saturating_sub(1)].contains(&deleted) {
            let message = format!(
                "{} was last sent from outbox {outbox}, publish {publish}, and this one is {} after publish {deleted}: it was restored, \
                 recreated, or followed another",
                self.lease.name, self.here
            );
            return Err(Coded::new(Code::OUTBOX_REPLACED, message));
        }
        self.publish = publish;
        self.outbox.delete(&rows, &self.lease.name, publish).await
    }

    /// Sends the next rows.
    async fn turn(&mut self) -> Result<Turn, Coded> {
        let rows = self.outbox.next(self.rows, BYTES).await?;
        if rows.is_empty() {
            return Ok(Turn::Empty);
        }
        let Sorted { outputs, rows, unfit } = self.records.of(rows).await?;
        if rows.is_empty() {
            return self.park_all(&unfit).await;
        }
        let sent = rows.iter().map(|row| (row.id, row.event)).collect();
        let receipt = Receipt { outbox: self.here.clone(), publish: self.publish + 1, rows: sent };
        match self.publish(outputs, receipt.to_bytes()).await {
            Answer::Committed => {
                self.publish += 1;
                self.relayed(&rows);
                self.outbox.delete(&receipt.rows, &self.lease.name, self.publish).await?;
                self.rows = (self.rows * 2).min(ROWS);
                // Now that what stands before them is gone.
                self.park_all(&unfit).await
            }
            Answer::Fenced(_) => Ok(Turn::Lost),
            Answer::Refused(cause) => {
                match &rows[..] {
                    [alone] => self.park(alone.id, &cause.message).await?,
                    _ => self.rows = (rows.len() / 2).max(1),
                }
                // Perhaps a topic is not what it was.
                self.records.forget();
                self.take().await?;
                Ok(Turn::Moved)
            }
            Answer::NotCommitted(cause) | Answer::Unknown(cause) => {
                self.waits(&cause);
                // Perhaps they are too many for the time that one publish may take, or a topic is not what it was.
                self.rows = (rows.len() / 2).max(1);
                self.records.forget();
                self.clock.sleep(PAUSE).await;
                Ok(Turn::Lost)
            }
        }
    }

    /// Publishes, and keeps the lease meanwhile: who waits for a slow log is not silent, and another one that went on would undo what
    /// is under way. Whether it could be kept, the answer tells.
    async fn publish(&mut self, outputs: Outputs, receipt: Bytes) -> Answer {
        let mut sending = self.sender.send(outputs, receipt);
        loop {
            match select(sending, self.clock.sleep(self.lease.time / RENEW)).await {
                Either::Left((answer, _)) => return answer,
                Either::Right(((), under_way)) => sending = under_way,
            }
            drop(self.outbox.hold(&self.lease, false).await);
        }
    }

    /// Tells that it stands still, once for each time that it does.
    fn waits(&mut self, cause: &Coded) {
        if self.told.replace(self.sent) != Some(self.sent) {
            self.observer.relay_waits(cause);
        }
    }

    fn relayed(&mut self, rows: &[OutboxRow]) {
        self.sent += rows.len() as u64;
        let now = self.clock.now();
        let waited = rows.iter().map(|row| now.since(row.at)).max().unwrap_or_default();
        self.observer.relayed(Relayed { rows: rows.len(), waited });
    }

    async fn park_all(&mut self, unfit: &[Unfit]) -> Result<Turn, Coded> {
        for Unfit { id, why } in unfit {
            self.park(*id, why).await?;
        }
        Ok(Turn::Moved)
    }

    async fn park(&mut self, id: u64, why: &str) -> Result<(), Coded> {
        self.observer.row_parked(id, why);
        self.outbox.park(id, why).await
    }
}
