//! Whether there is nothing left to do, at one moment.

use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::parking::{self, Waits};
use tidemill_core::ports::{Broker, Topics};
use tidemill_core::record::TopicPartition;
use tidemill_core::service::Service;
use tidemill_core::state::runtime_range;
use tidemill_core::time::Timestamp;
use tidemill_core::timers::{self, Pending};

use crate::query::entries;

/// What the workers of a service here tell.
#[derive(Default)]
pub(super) struct Told {
    /// How many shards run.
    pub(super) running: u64,
    /// How many of their keys wait for another attempt.
    pub(super) waiting: u64,
}

/// Whether, at one moment, every input of every service was at its end, everything was done and committed, nothing was parked
/// that will be tried again, and no timer was due.
///
/// Services feed each other, so lags that are zero one after the other prove nothing: the first service may have been given
/// more while the second was looked at. They do between two looks at the ends that show the same: what is done only grows, so
/// at the second look each service had done all there was, and what was parked then was so before. A broker that does not answer
/// has not said so.
pub(super) async fn at_one_moment(
    broker: &dyn Broker,
    services: &[Arc<Service>],
    told: &dyn Fn(&str) -> Told,
    now: Timestamp,
) -> Result<bool, Coded> {
    match seen(broker, services, told, now).await {
        Err(cause) if matches!(cause.code, Code::BROKER_UNREACHABLE | Code::DATABASE_UNREACHABLE) => Ok(false),
        seen => seen,
    }
}

async fn seen(
    broker: &dyn Broker,
    services: &[Arc<Service>],
    told: &dyn Fn(&str) -> Told,
    now: Timestamp,
) -> Result<bool, Coded> {
    let topics = broker.topics();
    let before = ends(&*topics, services).await?;
    for service in services {
        if lag(broker, service).await? > 0 {
            return Ok(false);
        }
    }
    for service in services {
        if waits(broker, service, told, now).await? {
            return Ok(false);
        }
    }
    // What was emitted and lies elsewhere is on its way to the inputs.
    if broker.unsent().await? > 0 {
        return Ok(false);
    }
    Ok(ends(&*topics, services).await? == before)
}

/// Whether a service has parked records that will be handled without an operator, or timers that are due. Its workers here tell; where
/// shards run elsewhere, or nowhere yet, what is durable tells.
async fn waits(
    broker: &dyn Broker,
    service: &Service,
    told: &dyn Fn(&str) -> Told,
    now: Timestamp,
) -> Result<bool, Coded> {
    let told = told(service.name());
    if told.waiting > 0 {
        return Ok(true);
    }
    // All inputs have as many partitions as each other.
    let Some(input) = service.input_topics().next() else { return Ok(false) };
    let shards = broker.topics().describe(input).await?.map_or(0, |info| u64::from(info.partitions));
    if told.running >= shards {
        return Ok(false);
    }
    // What waits behind another may be first by now: the one before it is gone, and the shard has not run since.
    let (mut waits, mut before) = (false, None);
    entries(broker, service.name(), &runtime_range(), |shard, entry| {
        if let Some((lane, _, parked)) = parking::parked(&entry) {
            let own = Some((shard, lane.to_vec()));
            waits |= own != before && !matches!(parked.waits, Waits::Held { .. });
            before = own;
        }
        Ok(())
    })
    .await?;
    for shard in 0..broker.shards(service.name()).await? {
        let first = broker.state(service.name(), shard, &timers::range(), 1).await?;
        let is_due = |entry| matches!(timers::pending(entry), Some(Ok(Pending { due, .. })) if due <= now);
        waits |= first.first().is_some_and(is_due);
    }
    Ok(waits)
}

/// How many records a service has not done and committed.
pub(super) async fn lag(broker: &dyn Broker, service: &Service) -> Result<u64, Coded> {
    let inputs: Vec<Arc<str>> = service.input_topics().cloned().collect();
    let lags = broker.lag(service.name(), &inputs).await?;
    Ok(lags.iter().map(|lag| lag.records).sum())
}

/// One past the newest record of every partition that these services read.
async fn ends(topics: &dyn Topics, services: &[Arc<Service>]) -> Result<Vec<u64>, Coded> {
    let mut ends = Vec::new();
    for service in services {
        for topic in service.input_topics() {
            // That a topic is missing is what asking for the lag tells.
            let partitions = topics.describe(topic).await?.map_or(0, |info| info.partitions);
            for partition in 0..partitions {
                let (_, end) = topics.offsets(&TopicPartition::new(Arc::clone(topic), partition)).await?;
                ends.push(end);
            }
        }
    }
    Ok(ends)
}

#[cfg(test)]
mod tests;
