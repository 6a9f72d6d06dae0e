//! The relay: what lies in the outbox goes to the log, each row exactly once.
//!
//! A row is unsent because it is there. The relay sends rows in the order of their ids, with a receipt that names them in the same
//! act, and deletes them. Whoever relays next takes the sender's name, which ends what was under way, reads the receipt, and deletes
//! what it names. The lease only keeps several relays from taking the name from each other again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use tidemill_core::code::{Code, Coded};
use tidemill_core::headers::Headers;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::partitioner::partition_for;
use tidemill_core::ports::{Answer, Broker, Clock, Sender};
use tidemill_core::time::Timestamp;
use tokio_postgres::{Client, Error, Row};

use crate::connection::{Wake, listen, waits_for_disk};
use crate::failure::{coded, identity};
use crate::receipt::Receipt;
use crate::settings::Settings;
use crate::statements::RelayTexts;

/// Rows of one publish, at the most.
const ROWS: usize = 2_000;
/// Bytes of their values: the row that goes beyond is the last.
const BYTES: i64 = 8 * 1024 * 1024;
/// How long the relay sleeps where nobody wakes it.
const POLL: Duration = Duration::from_millis(250);
/// How long it waits before it tries again what failed.
const PAUSE: Duration = Duration::from_millis(200);
/// A lease is renewed when so much of it is over.
const RENEW: u32 = 3;

/// What a relay is called, and for how long its lease holds.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// The name that it publishes under: one for each schema and log.
    pub name: String,
    /// Who it is among those that could relay.
    pub holder: String,
    /// After what time another one takes over, where this one says nothing more.
    pub lease: Duration,
}

/// Sends what lies in the outbox.
pub struct Relay {
    log: Arc<dyn Broker>,
    sender: Box<dyn Sender>,
    database: Settings,
    texts: RelayTexts,
    settings: RelaySettings,
    clock: Arc<dyn Clock>,
    /// How many partitions each topic has that was met.
    partitions: BTreeMap<String, u32>,
    /// Rows of the next publish, at the most: fewer while one is looked for that is refused.
    rows: usize,
    sent: u64,
    /// Which database it is connected to.
    here: String,
}

/// A row of the outbox.
struct Waiting {
    id: i64,
    event: [u8; 16],
    topic: String,
    partition: Option<i32>,
    at: i64,
    key: Option<Vec<u8>>,
    headers: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Waiting {
    fn of(row: &Row) -> Self {
        let event: &[u8] = row.get(1);
        Self {
            id: row.get(0),
            event: event.try_into().expect("a UUID has 16 bytes"),
            topic: row.get(2),
            partition: row.get(3),
            at: row.get(4),
            key: row.get(5),
            headers: row.get(6),
            value: row.get(7),
        }
    }
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
    /// Prepares a relay between a database and a log.
    pub fn new(
        log: Arc<dyn Broker>,
        database: Settings,
        settings: RelaySettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Coded> {
        let (sender, texts) = (log.sender(&settings.name)?, RelayTexts::new(&database.schema));
        let partitions = BTreeMap::new();
        Ok(Self { log, sender, database, texts, settings, clock, partitions, rows: ROWS, sent: 0, here: String::new() })
    }

    /// How many rows it has sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Relays until `stopped`. Databases and logs that do not answer are tried until they do.
    pub async fn run(&mut self, stopped: impl Future<Output = ()>) -> Result<(), Coded> {
        let mut stopped = std::pin::pin!(stopped);
        let mut told = None;
        loop {
            let answer = match select(std::pin::pin!(self.relay()), stopped.as_mut()).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => return Ok(()),
            };
            let Err(cause) = answer;
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
            // Once for each time that it stands still.
            if told.replace(self.sent) != Some(self.sent) {
                tracing::warn!(%cause, "the relay cannot go on; it tries until it can");
            }
            let pause = self.clock.sleep(PAUSE);
            if let Either::Right(_) = select(pause, stopped.as_mut()).await {
                return Ok(());
            }
        }
    }

    /// Relays until something fails.
    async fn relay(&mut self) -> Result<std::convert::Infallible, Coded> {
        let (client, wake) = listen(&self.database, &self.settings.holder).await?;
        let listen = format!("listen {}_outbox", self.database.schema);
        client.batch_execute(&listen).await.map_err(failed)?;
        waits_for_disk(&client).await?;
        self.here = identity(&client, &self.database.schema).await?;
        loop {
            while !self.hold(&client, false).await? {
                self.clock.sleep(self.settings.lease / RENEW).await;
            }
            self.take(&client).await?;
            self.work(&client, &wake).await?;
        }
    }

    /// Sends for as long as the lease and the name are held.
    async fn work(&mut self, client: &Client, wake: &Wake) -> Result<(), Coded> {
        let (mut renewed, mut sleeps) = (self.clock.now(), false);
        loop {
            match self.turn(client).await? {
                Turn::Moved if sleeps => {
                    // Nobody needs to wake it for as long as there is something to do.
                    if !self.hold(client, false).await? {
                        return Ok(());
                    }
                    (renewed, sleeps) = (self.clock.now(), false);
                }
                Turn::Moved => {}
                Turn::Lost => return Ok(()),
                Turn::Empty => {
                    if !self.hold(client, true).await? {
                        return Ok(());
                    }
                    (renewed, sleeps) = (self.clock.now(), true);
                    // What came before it said that it sleeps woke nobody.
                    if self.turn(client).await? == Turn::Empty {
                        let _ = select(std::pin::pin!(wake.wait()), self.clock.sleep(POLL)).await;
                    }
                    if client.is_closed() {
                        return Err(Coded::new(Code::DATABASE_UNREACHABLE, "the relay's connection ended"));
                    }
                }
            }
            if self.clock.now().since(renewed) >= self.settings.lease / RENEW {
                if !self.hold(client, false).await? {
                    return Ok(());
                }
                renewed = self.clock.now();
            }
        }
    }

    /// Takes the lease, or keeps it. Tells whether it is held.
    async fn hold(&self, client: &Client, sleeps: bool) -> Result<bool, Coded> {
        let milliseconds = i64::try_from(self.settings.lease.as_millis()).unwrap_or(i64::MAX);
        let RelaySettings { name, holder, .. } = &self.settings;
        let held = client.query_opt(&self.texts.hold, &[name, holder, &milliseconds, &sleeps]).await;
        Ok(held.map_err(failed)?.is_some())
    }

    /// Takes the name, and deletes what was sent under it last.
    async fn take(&mut self, client: &Client) -> Result<(), Coded> {
        let Some(receipt) = self.sender.take().await? else { return Ok(()) };
        let receipt = Receipt::read(&receipt).ok_or_else(|| {
            let message = format!("what was sent last as {} cannot be read", self.settings.name);
            Coded::new(Code::STATE_UNREADABLE, message)
        })?;
        if receipt.database != self.here {
            let message = format!(
                "{} was last sent from database {}, and this one is {}: it was restored, recreated, or followed another",
                self.settings.name, receipt.database, self.here
            );
            return Err(Coded::new(Code::OUTBOX_REPLACED, message));
        }
        self.delete(client, &receipt).await
    }

    async fn delete(&self, client: &Client, receipt: &Receipt) -> Result<(), Coded> {
        let (ids, events): (Vec<i64>, Vec<&[u8]>) =
            receipt.rows.iter().map(|(id, event)| (*id, event.as_slice())).unzip();
        client.execute(&self.texts.delete, &[&ids, &events]).await.map(drop).map_err(failed)
    }

    /// Sends the next rows.
    async fn turn(&mut self, client: &Client) -> Result<Turn, Coded> {
        let limit = i64::try_from(self.rows).unwrap_or(i64::MAX);
        let rows = client.query(&self.texts.rows, &[&limit, &BYTES]).await.map_err(failed)?;
        let waiting: Vec<Waiting> = rows.iter().map(Waiting::of).collect();
        if waiting.is_empty() {
            return Ok(Turn::Empty);
        }
        let outputs = match self.outputs(&waiting).await? {
            Ok(outputs) => outputs,
            Err((id, why)) => {
                self.park(client, id, &why).await?;
                return Ok(Turn::Moved);
            }
        };
        let sent = waiting.iter().map(|row| (row.id, row.event)).collect();
        let receipt = Receipt { database: self.here.clone(), rows: sent };
        match self.sender.send(outputs, receipt.to_bytes()).await {
            Answer::Committed => {
                self.delete(client, &receipt).await?;
                self.sent += waiting.len() as u64;
                self.rows = (self.rows * 2).min(ROWS);
                Ok(Turn::Moved)
            }
            Answer::Fenced(_) => Ok(Turn::Lost),
            Answer::Refused(cause) => {
                match &waiting[..] {
                    [alone] => self.park(client, alone.id, &cause.message).await?,
                    _ => self.rows = (waiting.len() / 2).max(1),
                }
                self.take(client).await?;
                Ok(Turn::Moved)
            }
            Answer::NotCommitted(cause) | Answer::Unknown(cause) => {
                tracing::debug!(%cause, "rows were not sent, or nobody knows");
                // Perhaps they are too many for the time that one publish may take, or a topic is not what it was.
                self.rows = (waiting.len() / 2).max(1);
                self.partitions.clear();
                self.clock.sleep(PAUSE).await;
                Ok(Turn::Lost)
            }
        }
    }

    async fn park(&self, client: &Client, id: i64, why: &str) -> Result<(), Coded> {
        tracing::warn!(id, why, "a row of the outbox is parked, and others of its key wait behind it");
        client.execute(&self.texts.park, &[&id, &why]).await.map(drop).map_err(failed)
    }

    /// The rows as records; or the row that cannot be one, and why.
    async fn outputs(&mut self, waiting: &[Waiting]) -> Result<Result<Outputs, (i64, String)>, Coded> {
        let mut topics: Vec<Arc<str>> = waiting.iter().map(|row| row.topic.as_str().into()).collect();
        topics.sort();
        topics.dedup();
        let mut outputs = Outputs::new(topics.as_slice().into());
        for row in waiting {
            let Some(partitions) = self.partitions(&row.topic).await? else {
                return Ok(Err((row.id, format!("topic {} does not exist", row.topic))));
            };
            let partition = match row.partition.map(u32::try_from) {
                Some(Ok(partition)) if partition >= partitions && self.partitions.remove(&row.topic).is_some() => {
                    // There may be more of them by now.
                    let partitions = self.partitions(&row.topic).await?;
                    if partitions.is_none_or(|partitions| partition >= partitions) {
                        return Ok(Err((row.id, format!("topic {} has no partition {partition}", row.topic))));
                    }
                    partition
                }
                // Without a key, by chance.
                None => partition_for(row.key.as_deref().unwrap_or(&row.event), partitions),
                Some(Ok(partition)) if partition < partitions => partition,
                Some(_) => return Ok(Err((row.id, format!("no topic has partition {:?}", row.partition)))),
            };
            let place = topics.binary_search_by(|topic| (**topic).cmp(&row.topic)).expect("every topic is there");
            let topic = u16::try_from(place).expect("no more topics than rows");
            let address = Address { topic, partition, timestamp: Timestamp::from_millis(row.at) };
            let headers = Headers::from_bytes(Bytes::copy_from_slice(&row.headers));
            outputs.push_raw(address, row.key.as_deref(), &headers, row.value.as_deref());
        }
        Ok(Ok(outputs))
    }

    async fn partitions(&mut self, topic: &str) -> Result<Option<u32>, Coded> {
        if let Some(known) = self.partitions.get(topic) {
            return Ok(Some(*known));
        }
        let found = self.log.topics().describe(topic).await?.map(|info| info.partitions);
        self.partitions.extend(found.map(|partitions| (topic.to_owned(), partitions)));
        Ok(found)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: Error) -> Coded {
    coded(&error, "the outbox cannot be relayed")
}
