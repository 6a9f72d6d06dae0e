//! The relay of a host: on a thread of its own, which ends with the workers.

use std::sync::Arc;
use std::thread::JoinHandle;

use tidemill_core::code::Coded;
use tidemill_core::ports::{Lease, Observer};
use tidemill_core::relay::Relay;
use tidemill_core::worker::Left;
use tokio::sync::{mpsc, watch};

use crate::host::fan::Fan;
use crate::host::worker::{self, Ended};
use crate::host::{Host, event_loop};
use crate::telemetry;

/// What the relay is called among the services of a host.
pub(super) const NAME: &str = "relay";

impl Host {
    /// The relay of what is committed here, if anything has to be relayed.
    pub(super) fn relay(&self) -> Result<Option<Relay>, Coded> {
        let (outbox, name) = (self.state.outbox(), self.state.relay_name(&self.configuration));
        let Some((outbox, name)) = outbox.zip(name) else { return Ok(None) };
        // Nobody else is called like this holder.
        let (holder, time) = (Self::new_id().into(), self.configuration.duration("outbox.lease"));
        let lease = Lease { name: name.into(), holder, time };
        let log: Arc<dyn Observer> = Arc::new(telemetry::Log::new(NAME.into()));
        let observers = std::iter::once(log).chain(self.observers.iter().cloned()).collect();
        Relay::new(&self.log, outbox, lease, Arc::clone(&self.clock), Arc::new(Fan(observers))).map(Some)
    }
}

/// Starts a relay, which tells its end on `ended`.
pub(super) fn start(mut relay: Relay, stop: watch::Receiver<bool>, ended: mpsc::Sender<Ended>) -> JoinHandle<()> {
    let work = move || {
        event_loop().block_on(async {
            let mut stop = stop;
            // An error means that the sender is gone: a relay that nobody owns stops too.
            relay.run(async { drop(stop.wait_for(|stop| *stop).await) }).await
        })?;
        Ok(Left::default())
    };
    worker::spawn(NAME.into(), NAME.to_owned(), work, ended)
}
