//! A service that writes one row for each event, in the transaction of its unit; and the same rows written by a bare loop over as many
//! connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::future::try_join_all;
use tidemill::code::{Code, Coded};
use tidemill::config::Configuration;
use tidemill::host::Host;
use tidemill::ports::{Observer, UnitEnded};
use tidemill::postgres::tokio_postgres::{Client, NoTls};
use tidemill::postgres::{Settings, coded, migrate};
use tidemill::prelude::*;

use crate::case::Case;
use crate::measure::measured;
use crate::meter::now;
use crate::passthrough::{self, INPUT, Payload};
use crate::report::Figures;

pub(crate) const NAME: &str = "rows";

/// Where the rows go; made and dropped by each run.
const SCHEMA: &str = "bench";
/// The runtime's tables of a run, which are dropped with it.
const RUNTIME_SCHEMA: &str = "bench_runtime";
const TABLES: &str = "drop schema if exists bench cascade; drop schema if exists bench_runtime cascade; create schema bench;
    create table bench.rows (id bigint generated always as identity primary key, key bytea not null, value bytea not null)";
const INSERT: &str = "insert into bench.rows (key, value) values ($1, $2)";
/// Bytes of a key and of a value.
const KEY_BYTES: usize = 16;
const VALUE_BYTES: usize = 200;

async fn write(payload: &Payload, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let key = cx.metadata().key().unwrap_or_default().to_vec();
    cx.sql()?.execute(INSERT, &[&key, &payload.as_ref()]).await.map(drop)
}

pub(crate) fn service() -> ServiceBuilder {
    Service::builder(NAME).on::<Payload>("write", write)
}

/// Measures from the first unit that ends to the last.
struct Units {
    left: AtomicU64,
    begun: Mutex<Option<Instant>>,
    done: Mutex<Option<oneshot::Sender<Duration>>>,
}

impl Observer for Units {
    fn wants_units(&self) -> bool {
        true
    }

    fn unit_ended(&self, _unit: &UnitEnded<'_>) {
        let at = now();
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(at);
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Nobody waits any more where the run has failed.
            let _ = done.map(|done| done.send(at.duration_since(begun)));
        }
    }
}

/// A configuration whose tables are this run's own.
pub(crate) fn of_run(configuration: &Configuration) -> Result<Configuration, Coded> {
    configuration.clone().with("postgres.schema", RUNTIME_SCHEMA)
}

/// The database that the host was given.
pub(crate) fn database(host: &Host, case: Case) -> Result<&Settings, Coded> {
    let message = || format!("{} is measured on Postgres: --state postgres://USER@HOST:PORT/DATABASE", case.name());
    host.database().ok_or_else(|| Coded::new(Code::BAD_VALUE, message()))
}

/// A connection, driven by a task of its own.
#[expect(clippy::disallowed_methods, reason = "the driver of a connection: it ends when the client is dropped")]
pub(crate) async fn client(settings: &Settings) -> Result<Client, Coded> {
    let (client, connection) =
        settings.config().connect(NoTls).await.map_err(|error| coded(&error, "the database cannot be used"))?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Makes the tables of a run.
pub(crate) async fn make_tables(settings: &Settings) -> Result<Client, Coded> {
    let client = client(settings).await?;
    client.batch_execute(TABLES).await.map_err(|error| coded(&error, "tables cannot be made"))?;
    migrate(settings).await?;
    Ok(client)
}

/// Drops the tables of a run.
pub(crate) async fn drop_tables(client: &Client) -> Result<(), Coded> {
    let drop = format!("drop schema {SCHEMA} cascade; drop schema {RUNTIME_SCHEMA} cascade");
    client.batch_execute(&drop).await.map_err(|error| coded(&error, "tables cannot be dropped"))
}

/// How long the service takes for so many rows, and the bare loop, over as many connections.
pub(crate) async fn measure(host: &mut Host, records: u64) -> Result<Figures, Coded> {
    let settings = database(host, Case::Rows)?.clone();
    let tables = make_tables(&settings).await?;
    let (done, took) = oneshot::channel();
    let (left, begun, done) = (AtomicU64::new(records), Mutex::default(), Mutex::new(Some(done)));
    host.observe(Arc::new(Units { left, begun, done }));
    host.create_topics([Arc::from(INPUT)]).await?;
    host.create_topics(host.topics()).await?;
    passthrough::publish(&**host.broker(), records, |number| number).await?;
    let service = measured(host, took).await?;
    let bare = bare(&settings, records).await?;
    let row = tables.query_one("select count(*) from bench.rows", &[]).await;
    let rows: i64 = row.map_err(|error| coded(&error, "rows cannot be counted"))?.get(0);
    assert_eq!(rows.unsigned_abs(), 2 * records, "each of both writes one row for each record");
    drop_tables(&tables).await?;
    Ok(Figures::rows(records, service, bare))
}

/// The user's statement alone, on as many connections.
async fn bare(settings: &Settings, records: u64) -> Result<Duration, Coded> {
    let failed = |error| coded(&error, "a row cannot be written");
    let mut clients = Vec::new();
    for _ in 0..settings.connections {
        let client = client(settings).await?;
        let insert = client.prepare(INSERT).await.map_err(failed)?;
        clients.push((client, insert));
    }
    let next = AtomicU64::new(0);
    let begun = now();
    let loops = clients.iter().map(|(client, insert)| {
        let next = &next;
        async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= records {
                    return Ok(());
                }
                let (key, value) = (format!("{number:0KEY_BYTES$x}").into_bytes(), [b'.'; VALUE_BYTES]);
                client.execute(insert, &[&key, &&value[..]]).await.map_err(failed)?;
            }
        }
    });
    try_join_all(loops).await?;
    Ok(now().duration_since(begun))
}
