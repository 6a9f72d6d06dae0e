//! A schema registry with the API of Confluent's: Apicurio Registry, run from what Maven brings, which keeps its data in a folder.

mod server;

use std::path::{Path, PathBuf};

use crate::background;
use crate::part::Instance;
use crate::wanted::{KAFKA, is_local};
use server::Server;

pub use crate::error::Error;

/// How to run a registry.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where its data and its log are; a fresh folder that goes with the registry if there is none. A folder that held data before
    /// is used again.
    pub data: Option<PathBuf>,
    /// The port; 0 chooses a free one.
    pub port: u16,
}

/// A registry that ends with this value, and with this process however that ends.
#[derive(Debug)]
pub struct Registry(Instance<Server>);

impl Registry {
    /// Starts a registry and waits until it answers. The first call on a machine fetches it.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Instance::start(options.data.as_deref(), |folder| Server::prepare(options.port, folder)).map(Self)
    }

    /// Where clients reach it, as a URL. It stays the same over [`restart`](Self::restart).
    pub fn url(&self) -> String {
        self.0.part.url()
    }

    /// The folder with its data and its log (`registry.log`).
    pub fn folder(&self) -> &Path {
        crate::part::Part::folder(&self.0.part)
    }

    /// The id of its process, if it has one.
    pub fn process_id(&mut self) -> Option<u32> {
        self.0.process_id()
    }

    /// Ends it at once, as a crash would (SIGKILL).
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Stops it in order (SIGTERM) and waits for its end. One that does not stop in time is killed, and that is an error.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.0.stop()
    }

    /// Starts it again over the same data, at the same address; one that runs is stopped in order before.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.0.restart()
    }
}

/// A registry that one test has for itself. It is started only where `TIDEMILL_TEST_KAFKA` is `local`: elsewhere a line that begins
/// with `SKIPPED:` says that `what` was not tried, and the test has to return. Panics if it cannot be started.
pub fn own_for_tests(what: &str) -> Option<Registry> {
    let start = || Registry::start(&Options::default());
    is_local(KAFKA, what)
        .then(|| start().unwrap_or_else(|error| panic!("the registry of the tests does not start: {error}")))
}

/// A registry that runs in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process id.
    pub process: u32,
    /// Where clients reach it.
    pub url: String,
}

impl From<background::Running> for Running {
    fn from(running: background::Running) -> Self {
        Self { process: running.process, url: running.address() }
    }
}

/// Starts a registry in this folder that goes on when this program ends, and waits until it answers. One that runs there already is an
/// error.
pub fn start(port: u16, folder: &Path) -> Result<Running, Error> {
    background::start(folder, |folder| Server::prepare(port, folder)).map(Running::from)
}

/// Stops the registry of this folder in order, and kills it if it does not stop in time, which is an error. Answers whether one ran.
pub fn stop(folder: &Path) -> Result<bool, Error> {
    background::stop::<Server>(folder)
}

/// The registry of this folder; that none runs is an error.
pub fn find(folder: &Path) -> Result<Running, Error> {
    let found = background::find::<Server>(folder).ok_or_else(|| background::runs_not::<Server>(folder));
    found.map(Running::from)
}
