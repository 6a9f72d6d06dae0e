//! How long a record takes through a service, from before it is written to when a reader of committed records has what came of it;
//! and through the bare loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidemill::code::{Code, Coded};
use tidemill::host::Host;
use tidemill_core::partitioner::partition_for;
use tidemill_kafka::Settings;
use tidemill_kafka::raw::{self, Probe, Source};

use crate::case::Case;
use crate::kafka::{self, Cluster};
use crate::measure::{BARE_OUTPUT, PARTITIONS};
use crate::meter::now;
use crate::passthrough;

/// How many records come in a second.
const PER_SECOND: u64 = 1_000;
/// Records that come first and do not count: who joins, opens and reads for the first time.
const WARM_UP: u64 = 3_000;
/// How long nothing may come out before the run is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of a value, of which the first eight tell when it was sent.
const VALUE_BYTES: usize = 200;
const STAMP_BYTES: usize = 8;

/// Half of the records, and 99 of 100, were not slower.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percentiles {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Percentiles {
    pub(crate) fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |hundredths: usize| all.get((all.len() * hundredths / 100).min(all.len() - 1)).copied();
        let [p50, p99] = [50, 99].map(|hundredths| at(hundredths).unwrap_or_default());
        Self { p50, p99 }
    }
}

/// What the service needed, and the bare loop.
pub(crate) async fn measure(
    host: &mut Host,
    cluster: &Cluster,
    records: u64,
) -> Result<(Percentiles, Percentiles), Coded> {
    let Cluster(settings) = cluster;
    host.create_topics([passthrough::INPUT, BARE_OUTPUT].map(Arc::from)).await?;
    host.create_topics(host.topics()).await?;
    let running = host.start().await?;
    let service = paced(settings, passthrough::INPUT, passthrough::OUTPUT, records);
    running.stop().await?;
    let service = service?;
    // The same topics made anew, so that the loop reads only its own records.
    cluster.clear(host).await?;
    host.create_topics([passthrough::INPUT, BARE_OUTPUT].map(Arc::from)).await?;
    let commit_every = host.services()[0].limits().commit_interval;
    Ok((service, beside(cluster, records, commit_every)?))
}

/// Runs the bare loop on a thread of its own while records come.
#[expect(clippy::disallowed_methods, reason = "the loop blocks, and so does who feeds it")]
fn beside(cluster: &Cluster, records: u64, commit_every: Duration) -> Result<Percentiles, Coded> {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let raw = scope.spawn(|| {
            let route = kafka::route(Case::Passthrough, commit_every);
            let ran = raw::run(cluster.0.clone(), &route, WARM_UP + records, &mut passthrough::Pass, now);
            ended.store(true, Ordering::Release);
            ran
        });
        let seen = paced(&cluster.0, passthrough::INPUT, BARE_OUTPUT, records);
        raw.join().expect("the loop does not panic")?;
        seen
    })
}

/// Writes records at their rate, and reads what comes out.
fn paced(settings: &Settings, from: &str, to: &str, records: u64) -> Result<Percentiles, Coded> {
    let source = Source::open(settings.clone(), from)?;
    let probe = Probe::open(settings.clone(), to, PARTITIONS)?;
    let all = WARM_UP + records;
    let begun = now();
    let since = |at: Instant| at.duration_since(begun);
    let (mut sent, mut came, mut heard) = (0, 0, begun);
    let mut latencies = Vec::with_capacity(usize::try_from(records).unwrap_or_default());
    while came < all {
        let due = u64::try_from(since(now()).as_millis()).unwrap_or(u64::MAX).saturating_mul(PER_SECOND) / 1_000;
        while sent < due.min(all) {
            let key = format!("{sent:016x}");
            let mut value = [b'.'; VALUE_BYTES];
            let stamp = u64::try_from(since(now()).as_nanos()).unwrap_or(u64::MAX);
            value[..STAMP_BYTES].copy_from_slice(&stamp.to_le_bytes());
            source.send(partition_for(key.as_bytes(), PARTITIONS), 1, key.as_bytes(), &value)?;
            sent += 1;
        }
        probe.take(|value| {
            let stamp = value.first_chunk::<STAMP_BYTES>().map_or(0, |stamp| u64::from_le_bytes(*stamp));
            heard = now();
            if came >= WARM_UP {
                latencies.push(since(heard).saturating_sub(Duration::from_nanos(stamp)));
            }
            came += 1;
        })?;
        if now().duration_since(heard) > PATIENCE {
            let message = format!("{came} of {all} records came out of {to}, and no more for {PATIENCE:?}");
            return Err(Coded::new(Code::BACKEND_FAILED, message));
        }
    }
    Ok(Percentiles::of(latencies))
}

#[cfg(test)]
mod tests;
