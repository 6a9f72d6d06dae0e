//! The outbox as the relay and operators see it.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use tidemill_core::code::{Code, Coded};
use tidemill_core::headers::Headers;
use tidemill_core::ports::{Fill, Lease, Outbox, OutboxRow, Sent, Which};
use tidemill_core::time::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use crate::commits::signed;
use crate::connection::{Values, Wake, listen, waits_for_disk};
use crate::failure::{coded, identity};
use crate::settings::Settings;
use crate::statements::TableTexts;

/// The outbox of a database.
pub struct OutboxTable {
    settings: Settings,
    texts: TableTexts,
    opened: Option<Opened>,
}

/// A connection, and what is prepared on it.
struct Opened {
    client: Client,
    wake: Wake,
    hold: Statement,
    next: Statement,
    delete: Statement,
}

impl OutboxTable {
    /// The outbox of this database. Nothing is asked of it yet.
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), texts: TableTexts::new(&settings.schema), opened: None }
    }

    fn opened(&self) -> Result<&Opened, Coded> {
        let opened = self.opened.as_ref().filter(|opened| !opened.client.is_closed());
        opened.ok_or_else(|| Coded::new(Code::DATABASE_UNREACHABLE, "the connection to the outbox ended"))
    }

    /// Runs a statement that operators need now and then.
    async fn change(&self, text: &str, values: Values<'_>) -> Result<bool, Coded> {
        Ok(self.opened()?.client.execute(text, values).await.map_err(failed)? > 0)
    }
}

#[async_trait]
impl Outbox for OutboxTable {
    async fn open(&mut self) -> Result<String, Coded> {
        self.opened = None;
        let (client, wake) = listen(&self.settings, "tidemill outbox").await?;
        let listen = format!("listen {}_outbox", self.settings.schema);
        client.batch_execute(&listen).await.map_err(failed)?;
        waits_for_disk(&client).await?;
        let identity = identity(&client, &self.settings.schema).await?;
        let texts = [&self.texts.hold, &self.texts.next, &self.texts.delete];
        let prepared = try_join_all(texts.map(|text| client.prepare(text))).await.map_err(failed)?;
        let [hold, next, delete] = prepared.try_into().expect("as many as there are texts");
        self.opened = Some(Opened { client, wake, hold, next, delete });
        Ok(identity)
    }

    async fn hold(&mut self, lease: &Lease, sleeps: bool) -> Result<bool, Coded> {
        let milliseconds = i64::try_from(lease.time.as_millis()).unwrap_or(i64::MAX);
        let Opened { client, hold, .. } = self.opened()?;
        let held = client.query_opt(hold, &[&&*lease.name, &&*lease.holder, &milliseconds, &sleeps]).await;
        Ok(held.map_err(failed)?.is_some())
    }

    async fn release(&mut self, lease: &Lease) -> Result<(), Coded> {
        self.change(&self.texts.release, &[&&*lease.name, &&*lease.holder]).await.map(drop)
    }

    async fn next(&mut self, rows: usize, bytes: usize) -> Result<Vec<OutboxRow>, Coded> {
        let limits = [rows, bytes].map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let Opened { client, next, .. } = self.opened()?;
        let found = client.query(next, &[&limits[0], &limits[1]]).await.map_err(failed)?;
        found.iter().map(row).collect()
    }

    async fn publishes(&mut self, name: &str) -> Result<u64, Coded> {
        let row = self.opened()?.client.query_opt(&self.texts.publishes, &[&name]).await.map_err(failed)?;
        Ok(row.and_then(|row| u64::try_from(row.get::<_, i64>(0)).ok()).unwrap_or_default())
    }

    async fn delete(&mut self, sent: &[Sent], name: &str, publish: u64) -> Result<(), Coded> {
        let (ids, events): (Vec<i64>, Vec<&[u8]>) =
            sent.iter().map(|(id, event)| (signed(*id), event.as_slice())).unzip();
        let Opened { client, delete, .. } = self.opened()?;
        client.execute(delete, &[&ids, &events, &name, &signed(publish)]).await.map(drop).map_err(failed)
    }

    async fn park(&mut self, id: u64, why: &str) -> Result<(), Coded> {
        self.change(&self.texts.park, &[&signed(id), &why]).await.map(drop)
    }

    async fn woken(&mut self) {
        match &self.opened {
            Some(opened) if !opened.client.is_closed() => opened.wake.wait().await,
            _ => {}
        }
    }

    async fn fill(&mut self) -> Result<Fill, Coded> {
        let row = self.opened()?.client.query_one(&self.texts.fill, &[]).await.map_err(failed)?;
        let count = |column: usize| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
        Ok(Fill { waiting: count(0), parked: count(1) })
    }

    async fn list(&mut self, which: Which, after: Option<u64>, limit: usize) -> Result<Vec<OutboxRow>, Coded> {
        let (after, limit) = (after.map_or(-1, signed), i64::try_from(limit).unwrap_or(i64::MAX));
        let values: [&(dyn ToSql + Sync); 3] = [&after, &(which == Which::Parked), &limit];
        let found = self.opened()?.client.query(&self.texts.list, &values).await.map_err(failed)?;
        found.iter().map(row).collect()
    }

    async fn retry(&mut self, id: u64, reason: &str) -> Result<bool, Coded> {
        self.change(&self.texts.retry, &[&signed(id), &reason]).await
    }

    async fn discard(&mut self, id: u64, reason: &str) -> Result<bool, Coded> {
        self.change(&self.texts.discard, &[&signed(id), &reason]).await
    }
}

/// A row, as the texts list its columns. Programs of others may add rows, so what is in one may be anything.
fn row(row: &Row) -> Result<OutboxRow, Coded> {
    let id: i64 = row.get(0);
    let unreadable = |what: &str| {
        let message = format!("row {id} of the outbox cannot be sent: its {what} is none");
        Coded::new(Code::STATE_UNREADABLE, message)
    };
    let bytes = |column: usize| row.get::<_, Option<&[u8]>>(column).map(Bytes::copy_from_slice);
    let partition: Option<i32> = row.get(3);
    Ok(OutboxRow {
        id: u64::try_from(id).map_err(|_| unreadable("id"))?,
        event: row.get::<_, &[u8]>(1).try_into().expect("a UUID has 16 bytes"),
        topic: row.get::<_, &str>(2).into(),
        partition: partition.map(u32::try_from).transpose().map_err(|_| unreadable("partition"))?,
        at: Timestamp::from_millis(row.get(4)),
        key: bytes(5),
        headers: Headers::from_bytes(bytes(6).unwrap_or_default()),
        value: bytes(7),
        parked: row.get(8),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: Error) -> Coded {
    coded(&error, "the outbox cannot be used")
}
