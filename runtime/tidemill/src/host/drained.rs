//! Whether there is nothing left to do, at one moment.

use std::ops::Bound;
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::parking::{Waits, parked};
use tidemill_core::ports::{Broker, Topics};
use tidemill_core::record::TopicPartition;
use tidemill_core::service::Service;
use tidemill_core::state::runtime_range;

/// Whether, at one moment, every input of every service was at its end and everything was done and committed.
///
/// Services feed each other, so lags that are zero one after the other prove nothing: the first service may have been given
/// more while the second was looked at. They do between two looks at the ends that show the same: what is done only grows, so
/// at the second look each service had done all there was. A broker that does not answer has not said so.
pub(super) async fn at_one_moment(broker: &dyn Broker, services: &[Arc<Service>]) -> Result<bool, Coded> {
    match seen(broker, services).await {
        Err(cause) if cause.code == Code::BROKER_UNREACHABLE => Ok(false),
        seen => seen,
    }
}

async fn seen(broker: &dyn Broker, services: &[Arc<Service>]) -> Result<bool, Coded> {
    let topics = broker.topics();
    let before = ends(&*topics, services).await?;
    for service in services {
        if lag(broker, service).await? > 0 {
            return Ok(false);
        }
    }
    Ok(ends(&*topics, services).await? == before)
}

/// Whether a service has parked records that will be handled without an operator. Its workers here tell, as `(shards that run, keys
/// that wait)`; where shards run elsewhere, or nowhere yet, what is durable tells.
pub(super) async fn waits(broker: &dyn Broker, service: &Service, here: (u64, u64)) -> Result<bool, Coded> {
    let (running, waiting) = here;
    if waiting > 0 {
        return Ok(true);
    }
    let mut shards = 0;
    for topic in service.input_topics() {
        shards = broker.topics().describe(topic).await?.map_or(0, |info| u64::from(info.partitions)).max(shards);
    }
    Ok(running < shards && is_parked(broker, service).await?)
}

/// Whether anything is parked that is not held.
async fn is_parked(broker: &dyn Broker, service: &Service) -> Result<bool, Coded> {
    /// Entries that are read at once.
    const PAGE: usize = 1_000;
    for shard in 0..broker.shards(service.name()).await? {
        let mut range = runtime_range();
        loop {
            let page = broker.state(service.name(), shard, &range, PAGE).await?;
            let last = page.last().map(|(key, _)| key.clone()).filter(|_| page.len() == PAGE);
            if parked(page).iter().any(|(_, parked)| matches!(parked.waits, Waits::Until(_))) {
                return Ok(true);
            }
            match last {
                Some(last) => range.start = Bound::Excluded(last),
                None => break,
            }
        }
    }
    Ok(false)
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
