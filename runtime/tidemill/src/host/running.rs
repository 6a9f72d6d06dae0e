//! Services that run: how one waits for them and stops them.

use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{Either, pending, select};
use tidemill_core::code::Coded;
use tidemill_core::ports::{Broker, Clock, Heartbeat};
use tidemill_core::service::Service;
use tidemill_core::worker::Left;
use tokio::sync::{mpsc, watch};

use crate::host::drained::{self, Told};
use crate::host::watchdog::Watchdog;
use crate::host::worker::Ended;

/// The first and the longest pause between two looks at the lags.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Services that run on their workers' threads. Dropping it tells them to stop and waits for nobody.
pub struct Running {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) services: Vec<Arc<Service>>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) ended: mpsc::Receiver<Ended>,
    pub(super) threads: Vec<JoinHandle<()>>,
    /// The services that failed, and why.
    pub(super) failures: Vec<(Arc<str>, Coded)>,
    pub(super) left: Left,
    /// Of each worker, by its service.
    pub(super) heartbeats: Vec<(Arc<str>, Arc<Heartbeat>)>,
    /// Looks on as long as this exists.
    pub(super) _watchdog: Watchdog,
}

impl Running {
    /// Ends when, at one moment, every input of every service is at its end, everything is done and committed, nothing is parked
    /// that will be tried again, and no timer is due: those that are due later are not waited for. A service
    /// that stops by itself is not waited for any more; the others are, and then its error is the answer. The services go on.
    pub async fn drained(&mut self) -> Result<(), Coded> {
        let mut pause = PAUSES.0;
        loop {
            let failed = |service: &Service| self.failures.iter().any(|(name, _)| name == service.name());
            let going: Vec<_> = self.services.iter().filter(|service| !failed(service)).cloned().collect();
            if drained::at_one_moment(&*self.broker, &going, &|service| self.told(service), self.clock.now()).await? {
                return self.worst().map_or(Ok(()), Err);
            }
            let sleep = self.clock.sleep(pause);
            let ended = match select(pin!(self.ended.recv()), sleep).await {
                Either::Left((None, sleep)) => {
                    sleep.await;
                    None
                }
                Either::Left((ended, _)) => ended,
                Either::Right(_) => None,
            };
            if let Some(ended) = ended {
                self.note(ended);
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Ends when a service stops by itself, with its error; when one did already, at once, with the worst so far. The others
    /// go on until [`Running::stop`].
    pub async fn failed(&mut self) -> Coded {
        loop {
            if let Some(worst) = self.worst() {
                return worst;
            }
            match self.ended.recv().await {
                Some(ended) => self.note(ended),
                // No worker is left that could fail, and none has: there were no services.
                None => pending::<()>().await,
            }
        }
    }

    /// Drains and commits what is under way, leaves the groups and joins the threads. The error of a service that failed,
    /// now or before, is the answer; of several, the one with the highest exit code.
    pub async fn stop(mut self) -> Result<Left, Coded> {
        self.stop.send_replace(true);
        while let Some(ended) = self.ended.recv().await {
            self.note(ended);
        }
        for thread in self.threads.drain(..) {
            // It has told its end: all that is left to it is to return. A panic was caught inside.
            drop(thread.join());
        }
        self.worst().map_or(Ok(self.left), Err)
    }

    /// What the workers of this service tell.
    fn told(&self, service: &str) -> Told {
        let own = self.heartbeats.iter().filter(|(name, _)| **name == *service);
        own.fold(Told::default(), |told, (_, heartbeat)| Told {
            running: told.running + heartbeat.running(),
            waiting: told.waiting + heartbeat.waiting(),
        })
    }

    fn worst(&self) -> Option<Coded> {
        self.failures.iter().map(|(_, failure)| failure).max_by_key(|failure| failure.code.exit()).cloned()
    }

    fn note(&mut self, ended: Ended) {
        let Ended { service, thread, outcome } = ended;
        match outcome {
            Ok(left) => {
                self.left.interrupted += left.interrupted;
                self.left.uncommitted += left.uncommitted;
            }
            Err(error) => {
                tracing::error!(%service, thread, code = %error.code, "service stopped: {}", error.message);
                self.failures.push((service, error));
            }
        }
    }
}
