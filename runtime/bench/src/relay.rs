//! The relay of an outbox in Postgres: how many rows it sends where many wait, beside a bare loop that reads, publishes and deletes; and how
//! long a row waits where none does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use tidemill::code::{Code, Coded};
use tidemill::host::Host;
use tidemill::outputs::{Address, Outputs};
use tidemill::ports::{Clock, Observer};
use tidemill::postgres::coded;
use tidemill::postgres::tokio_postgres::Client;
use tidemill::relay::Relayed;
use tidemill::time::Timestamp;
use tidemill_core::headers::Headers;
use tidemill_core::partitioner::partition_for;
use tidemill_kafka::raw::Probe;

use crate::case::Case;
use crate::kafka::Cluster;
use crate::latency::Percentiles;
use crate::measure::{BARE_OUTPUT, PARTITIONS, measured};
use crate::meter::now;
use crate::passthrough::OUTPUT;
use crate::report::Figures;
use crate::rows::{client, database, drop_tables, make_tables};

pub(crate) const NAME: &str = "relay";

/// Rows that are read, published and deleted at a time by the bare loop; as many as the relay's.
const ROWS: i64 = 2_000;
/// Rows that come one by one, and how long after each other.
const SINGLE: usize = 300;
const APART: Duration = Duration::from_millis(20);
/// How long nothing may come before a run is given up.
const PATIENCE: Duration = Duration::from_secs(30);
const FILL: &str = "insert into bench_runtime.outbox (topic, at, key, headers, value)
    select $1, 1, convert_to(to_hex(number), 'UTF8'), '', convert_to(repeat('.', 200), 'UTF8') from generate_series(1, $2::bigint) as number";
const NEXT: &str = "select id, key, value from bench_runtime.outbox order by id limit $1";
const DELETE: &str = "delete from bench_runtime.outbox where id = any ($1)";
/// What programs do, `Outbox::add`, in a statement of its own.
const ADD: &str =
    "with added as (insert into bench_runtime.outbox (topic, at, key, headers, value) values ($1, 1, $2, '', $3))
    select pg_notify('bench_runtime_outbox', '') from bench_runtime.lease where sleeps";

/// Measures from the first rows that are sent to the last.
struct Sent {
    left: AtomicU64,
    begun: Mutex<Option<Instant>>,
    done: Mutex<Option<oneshot::Sender<Duration>>>,
}

impl Observer for Sent {
    fn relayed(&self, relayed: Relayed) {
        let (at, rows) = (now(), relayed.rows as u64);
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(at);
        if self.left.fetch_sub(rows, Ordering::Relaxed) == rows {
            let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Nobody waits any more where the run has failed.
            let _ = done.map(|done| done.send(at.duration_since(begun)));
        }
    }
}

/// Measures both, and then a relay that has nothing to do but single rows.
pub(crate) async fn measure(host: &mut Host, cluster: &Cluster, rows: u64) -> Result<Figures, Coded> {
    let settings = database(host, Case::Relay)?.clone();
    let tables = make_tables(&settings).await?;
    let (done, took) = oneshot::channel();
    let (left, begun, done) = (AtomicU64::new(rows), Mutex::default(), Mutex::new(Some(done)));
    host.observe(Arc::new(Sent { left, begun, done }));
    host.create_topics([OUTPUT, BARE_OUTPUT].map(Arc::from)).await?;
    host.create_topics(host.topics()).await?;
    fill(&tables, OUTPUT, rows).await?;
    let relay = measured(host, took).await?;
    fill(&tables, BARE_OUTPUT, rows).await?;
    let bare = bare(host, &client(&settings).await?).await?;
    let running = host.start().await?;
    let idle = idle(&**host.clock(), cluster, &tables).await;
    running.stop().await?;
    drop_tables(&tables).await?;
    Ok(Figures::relay(rows, relay, bare, idle?))
}

async fn fill(client: &Client, topic: &str, rows: u64) -> Result<(), Coded> {
    let count = i64::try_from(rows).unwrap_or(i64::MAX);
    client.execute(FILL, &[&topic, &count]).await.map_err(|error| coded(&error, "rows cannot be written"))?;
    client.batch_execute("analyze bench_runtime.outbox").await.map_err(|error| coded(&error, "rows cannot be counted"))
}

/// Reads, publishes and deletes, without a receipt or a lease: what breaks off in the middle is sent twice.
async fn bare(host: &Host, client: &Client) -> Result<Duration, Coded> {
    let failed = |error| coded(&error, "the bare loop cannot go on");
    let (next, delete) = (client.prepare(NEXT).await.map_err(failed)?, client.prepare(DELETE).await.map_err(failed)?);
    let topics: Arc<[Arc<str>]> = [BARE_OUTPUT.into()].into();
    let mut begun = None;
    loop {
        let rows = client.query(&next, &[&ROWS]).await.map_err(failed)?;
        if rows.is_empty() {
            return Ok(begun.map_or(Duration::ZERO, |begun| now().duration_since(begun)));
        }
        let mut outputs = Outputs::new(Arc::clone(&topics));
        for row in &rows {
            let key: &[u8] = row.get(1);
            let partition = partition_for(key, PARTITIONS);
            let address = Address { topic: 0, partition, timestamp: Timestamp::from_millis(1) };
            outputs.push_raw(address, Some(key), &Headers::default(), Some(row.get(2)));
        }
        host.broker().publish(outputs).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        client.execute(&delete, &[&ids]).await.map_err(failed)?;
        // As with the relay, the first rows are not counted, with which everything is opened.
        begun.get_or_insert_with(now);
    }
}

/// Commits rows one by one, and waits for each to be read.
async fn idle(clock: &dyn Clock, cluster: &Cluster, client: &Client) -> Result<Percentiles, Coded> {
    let add = client.prepare(ADD).await.map_err(|error| coded(&error, "a row cannot be written"))?;
    let probe = Probe::open(cluster.0.clone(), OUTPUT, PARTITIONS)?;
    let mut waited = Vec::new();
    for number in 0..SINGLE + 20 {
        clock.sleep(APART).await;
        let value = format!("single-{number}");
        let values: [&(dyn tidemill::postgres::tokio_postgres::types::ToSql + Sync); 3] =
            [&OUTPUT, &value.as_bytes(), &value.as_bytes()];
        client.query(&add, &values).await.map_err(|error| coded(&error, "a row cannot be written"))?;
        let committed = now();
        let mut came = None;
        while came.is_none() {
            probe.take(|read| came = came.or_else(|| (read == value.as_bytes()).then(now)))?;
            if now().duration_since(committed) > PATIENCE {
                return Err(Coded::new(Code::BACKEND_FAILED, format!("{value} was not sent within {PATIENCE:?}")));
            }
        }
        // The first ones find everything cold.
        waited.extend(came.filter(|_| number >= 20).map(|came| came.duration_since(committed)));
    }
    Ok(Percentiles::of(waited))
}
