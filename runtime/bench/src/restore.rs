//! How long a service needs until it runs: without its copy of the state, which it reads from the changelog then, and with it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use tempfile::TempDir;
use tidemill::code::{Code, Coded};
use tidemill::config::Configuration;
use tidemill::host::Host;
use tidemill::ports::Observer;
use tidemill::prelude::*;

use crate::case::Case;
use crate::measure::{PARTITIONS, measured};
use crate::meter::now;
use crate::passthrough::{INPUT, Payload};
use crate::process;
use crate::report::Figures;

pub(crate) const NAME: &str = "restore";

/// What is kept of each key, of this many bytes.
const KEPT: Cell<String> = Cell::named("kept");
const KEPT_BYTES: usize = 100;

async fn keep(_payload: &Payload, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let key = String::from_utf8_lossy(cx.metadata().key().unwrap_or_default());
    let text = format!("{key:.<KEPT_BYTES$}");
    cx.set(KEPT, text);
    Ok(())
}

pub(crate) fn service() -> ServiceBuilder {
    Service::builder(NAME).on::<Payload>("keep", keep)
}

/// Reading the state of all shards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// From the moment at which the first shard has its partitions until the last one runs.
    pub(crate) took: Duration,
    /// The most memory that the process had meanwhile, in bytes; `None` where the system does not say.
    pub(crate) peak_bytes: Option<u64>,
}

/// Looks at a service until all its shards run.
struct Loads(Mutex<Loading>);

struct Loading {
    begun: Option<Instant>,
    /// Shards that do not run yet.
    left: u32,
    done: Option<oneshot::Sender<Load>>,
}

impl Loads {
    fn new() -> (Self, oneshot::Receiver<Load>) {
        let (done, load) = oneshot::channel();
        (Self(Mutex::new(Loading { begun: None, left: PARTITIONS, done: Some(done) })), load)
    }

    fn with(&self, change: impl FnOnce(&mut Loading)) {
        // Nothing here panics halfway through a change.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Observer for Loads {
    fn shard_loading(&self, _shard: u32) {
        self.with(|loading| {
            loading.begun.get_or_insert_with(|| {
                process::forget_peak();
                now()
            });
        });
    }

    fn shard_started(&self, _shard: u32) {
        self.with(|loading| {
            loading.left = loading.left.saturating_sub(1);
            if loading.left == 0
                && let Some(done) = loading.done.take()
            {
                let took = loading.begun.map(|begun| now().duration_since(begun)).unwrap_or_default();
                // Nobody waits any more where the run has failed.
                let _ = done.send(Load { took, peak_bytes: process::peak_bytes() });
            }
        });
    }
}

/// Lets a service write state of so many keys, and starts it twice more: in a folder that is empty, and in the same one again.
pub(crate) async fn measure(host: &Host, base: &Configuration, records: u64) -> Result<Figures, Coded> {
    host.create_topics(vec![Arc::from(INPUT)]).await?;
    host.create_topics(host.topics()).await?;
    Case::Restore.publish(host.broker(), records).await?;
    let (first, second) = (folder()?, folder()?);
    load(base, first.path()).await?;
    let lost = load(base, second.path()).await?;
    let kept = load(base, second.path()).await?;
    Ok(Figures::restore(records, lost, kept))
}

fn folder() -> Result<TempDir, Coded> {
    tempfile::tempdir().map_err(|error| Coded::new(Code::WRITE_FAILED, format!("no temporary folder: {error}")))
}

/// Starts the service with its state in this folder, and stops it when there is nothing to do.
async fn load(base: &Configuration, folder: &Path) -> Result<Load, Coded> {
    let path =
        folder.to_str().ok_or_else(|| Coded::new(Code::BAD_VALUE, "the folder's name is not valid text (UTF-8)"))?;
    let mut host = Host::open(base.clone().with("state_dir", path)?)?;
    host.add(service())?;
    let (loads, load) = Loads::new();
    host.observe(Arc::new(loads));
    measured(&host, load).await
}
