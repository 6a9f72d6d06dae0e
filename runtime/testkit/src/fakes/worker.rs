//! A worker over fakes.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use tidemill_core::code::Coded;
use tidemill_core::ports::{Broker, Observer, Subscription};
use tidemill_core::service::Service;
use tidemill_core::worker::{Left, Ports, Worker};

use crate::fakes::{Inline, Seeded, VirtualClock};

/// Ports with virtual time, chance from a seed, and blocking work done in line.
pub fn ports(clock: &Arc<VirtualClock>, seed: u64, observer: Arc<dyn Observer>) -> Ports {
    Ports {
        clock: Arc::clone(clock) as _,
        random: Rc::new(Seeded::new(seed)),
        blocking: Arc::new(Inline),
        schemas: None,
        observer,
        heartbeat: Arc::default(),
    }
}

/// Joins the service's group under a name, and works until `stop` completes.
pub async fn work(
    service: Arc<Service>,
    member: Arc<str>,
    broker: Arc<dyn Broker>,
    ports: Ports,
    stop: impl Future<Output = ()>,
) -> Result<Left, Coded> {
    let topics = service.input_topics().cloned().collect();
    let member = broker.join(Subscription { group: Arc::clone(service.name()), member, topics })?;
    Worker::open(service, member, &*broker, ports).await?.run(stop).await
}
