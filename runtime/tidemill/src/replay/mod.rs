//! Replay: what a service did, done again with the code that runs now. Every effect is captured, and nothing leaves.
//!
//! A [`Replay`] follows the service's journal, so units run in the order in which they ran, and see the time that they saw. It joins no group,
//! commits nothing and publishes nothing. `docs/REPLAY.md` shows it from the command line.

mod case;
mod compare;
mod emit;
mod export;
mod fields;
mod range;
mod select;
mod shards;
mod shown;
pub mod snapshot;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Blocking, Broker, Clock, NoObserver, Schemas};
use tidemill_core::replay::Wanted;
use tidemill_core::service::Service;
use tidemill_core::worker::Ports;

use crate::host::{Host, chance};

pub use case::{About, Case};
pub use compare::{Comparison, Difference, Kind};
pub use emit::Sent;
pub use export::export;
pub use fields::Field;
pub(crate) use fields::shown;
pub use range::{Edge, Range};
pub use select::Selection;
pub(crate) use shown::ended;
pub use shown::{Cell, Emitted, Shown, Timer};
pub use tidemill_core::replay::{Changed, Ran, TimerChange, Told};

/// With which state a replay begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// That which the service had then: what came before the range runs first.
    #[default]
    AsOf,
    /// None.
    Empty,
    /// That which the service has now.
    Current,
}

/// A replay of one service, to be run.
#[derive(Clone)]
pub struct Replay {
    service: Arc<Service>,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    blocking: Arc<dyn Blocking>,
    schemas: Option<Arc<dyn Schemas>>,
    /// What was configured for its units.
    settings: BTreeMap<String, String>,
    range: Range,
    selection: Selection,
    state: State,
    /// Where snapshots lie.
    snapshots: Option<PathBuf>,
    calls: bool,
    behind: Arc<AtomicU64>,
    whole: Arc<AtomicU64>,
}

impl Replay {
    /// Of everything that a service of this host did. One that the host does not have is an error (TM-0104).
    pub fn of(host: &Host, service: &str) -> Result<Self, Coded> {
        let known = host.services().iter().find(|known| **known.name() == *service);
        let service = known.ok_or_else(|| {
            Coded::new(
                Code::UNKNOWN_NAME,
                format!("there is no service {service} here, so nothing of it can be replayed"),
            )
        })?;
        Ok(Self {
            service: Arc::clone(service),
            broker: Arc::clone(host.broker()),
            clock: Arc::clone(host.clock()),
            blocking: Arc::clone(host.blocking()),
            schemas: host.known_schemas()?,
            settings: host.configuration().of_units(service.name()),
            range: Range::default(),
            selection: Selection::default(),
            state: State::default(),
            snapshots: host.configuration().given("snapshots").map(PathBuf::from),
            calls: false,
            behind: Arc::default(),
            whole: Arc::default(),
        })
    }

    /// Only this part of its input.
    #[must_use]
    pub fn range(mut self, range: Range) -> Self {
        self.range = range;
        self
    }

    /// Only these units are told, or compared.
    #[must_use]
    pub fn select(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// With which state it begins; with that of then unless this says otherwise.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// Where [snapshots](snapshot) lie, to begin with the last one before the range; as the key `snapshots` says unless this says otherwise.
    #[must_use]
    pub fn snapshots(mut self, folder: impl Into<PathBuf>) -> Self {
        self.snapshots = Some(folder.into());
        self
    }

    /// Lets handlers call outside by [`Context::call`](crate::context::Context::call) where no answer was kept. Without, such a unit fails
    /// (TM-0903).
    #[must_use]
    pub fn allow_calls(mut self, allow: bool) -> Self {
        self.calls = allow;
        self
    }

    /// The service.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// How many units are behind, and how many there are, as far as that is known yet: for whoever shows progress.
    pub fn progress(&self) -> (Arc<AtomicU64>, Arc<AtomicU64>) {
        (Arc::clone(&self.behind), Arc::clone(&self.whole))
    }

    /// Runs it on this thread, shard by shard, and hands over each unit that is told, with what it changed and how long it took. `Break` ends
    /// it.
    pub async fn run(&self, see: impl FnMut(Told, Duration) -> Result<ControlFlow<()>, Coded>) -> Result<Ran, Coded> {
        self.each(Wanted { changes: true, needs: false, calls: self.calls }, see).await
    }

    async fn each(
        &self,
        wanted: Wanted,
        mut see: impl FnMut(Told, Duration) -> Result<ControlFlow<()>, Coded>,
    ) -> Result<Ran, Coded> {
        let mut ran = Ran::default();
        for (shard, bounds) in self.bounds().await? {
            let mut is_over = false;
            let of_shard = self.shard(shard, bounds, wanted, |told, took| {
                let went_on = see(told, took)?;
                is_over = went_on.is_break();
                Ok(went_on)
            });
            ran += of_shard.await?;
            if is_over {
                break;
            }
        }
        Ok(ran)
    }

    /// Has the service find out what the schemas are called that it writes. One that is not registered is an error (TM-0703).
    async fn find_schema_ids(&self) -> Result<(), Coded> {
        match &self.schemas {
            Some(schemas) => self.service.find_schema_ids(&**schemas).await,
            None => Ok(()),
        }
    }

    /// What a session needs beside the service; made on the thread that it runs on.
    fn ports(&self) -> Ports {
        Ports {
            clock: Arc::clone(&self.clock),
            random: Rc::new(chance()),
            blocking: Arc::clone(&self.blocking),
            schemas: self.schemas.clone(),
            observer: Arc::new(NoObserver),
            heartbeat: Arc::default(),
        }
    }
}
