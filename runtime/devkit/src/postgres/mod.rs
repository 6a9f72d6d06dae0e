//! Postgres, from the programs that are installed, which keeps its data in a folder.

mod server;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::background;
use crate::part::{Instance, Part};
use crate::wanted::{LOCAL, POSTGRES, is_local, skip, wanted};
use server::Server;

pub use crate::error::Error;

/// Who clients come in as, and with what. It listens on the loopback address, and the password is no secret.
const USER: &str = "tidemill";
const PASSWORD: &str = "tidemill";
/// A database that every new server has.
const DATABASE: &str = "postgres";

/// How to run a server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where its data and its log are; a fresh folder that goes with the server if there is none. A folder that held data before is
    /// used again.
    pub data: Option<PathBuf>,
    /// The port; 0 chooses a free one.
    pub port: u16,
    /// Settings of the server, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
}

/// A Postgres that ends with this value, and with this process however that ends.
#[derive(Debug)]
pub struct Postgres(Instance<Server>);

impl Postgres {
    /// Starts a server and waits until it answers.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let prepare = |folder: &Path| Server::prepare(options.port, &options.settings, folder);
        Instance::start(options.data.as_deref(), prepare).map(Self)
    }

    /// Where clients reach it, as a URL with user, password and database. It stays the same over [`restart`](Self::restart).
    pub fn url(&self) -> String {
        self.0.part.url()
    }

    /// The folder with its data and its log (`postgres.log`).
    pub fn folder(&self) -> &Path {
        self.0.part.folder()
    }

    /// The id of its first process, if it has one.
    pub fn process_id(&mut self) -> Option<u32> {
        self.0.process_id()
    }

    /// Ends it at once, as a crash would (SIGKILL). What it had acknowledged is there after [`restart`](Self::restart).
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Stops it in order: clients are sent away (SIGINT). One that does not stop in time is killed, and that is an error.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.0.stop()
    }

    /// Starts it again over the same data, at the same address; one that runs is stopped in order before.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.0.restart()
    }
}

/// The URL of the Postgres that this process's tests share: the one that `TIDEMILL_TEST_POSTGRES` names, or, if that is `local`, one
/// that is started at the first call and ends with the process. Where the variable is not set, a line that begins with `SKIPPED:`
/// says that `what` was not tried, and the test has to return. Panics if it cannot be started.
pub fn for_tests(what: &str) -> Option<&'static str> {
    static SHARED: OnceLock<(String, Option<Postgres>)> = OnceLock::new();
    let wanted = wanted(POSTGRES);
    if wanted.is_empty() {
        skip(POSTGRES, what, "a URL or `local`");
        return None;
    }
    let (url, _) = SHARED.get_or_init(|| {
        if wanted == LOCAL {
            let postgres = begin(&Options::default());
            (postgres.url(), Some(postgres))
        } else {
            (wanted, None)
        }
    });
    Some(url)
}

/// A Postgres that one test has for itself, to be killed, restarted or given settings. It is started only where
/// `TIDEMILL_TEST_POSTGRES` is `local`; elsewhere the test is skipped, as in [`for_tests`].
pub fn own_for_tests(what: &str, options: &Options) -> Option<Postgres> {
    is_local(POSTGRES, what).then(|| begin(options))
}

fn begin(options: &Options) -> Postgres {
    Postgres::start(options).unwrap_or_else(|error| panic!("the Postgres of the tests does not start: {error}"))
}

/// A Postgres that runs in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its first process's id.
    pub process: u32,
    /// Where clients reach it.
    pub url: String,
}

impl From<background::Running> for Running {
    fn from(running: background::Running) -> Self {
        Self { process: running.process, url: running.address() }
    }
}

/// Starts a Postgres in this folder that goes on when this program ends, and waits until it answers. One that runs there already is
/// an error.
pub fn start(options: &Options, folder: &Path) -> Result<Running, Error> {
    let prepare = |folder: &Path| Server::prepare(options.port, &options.settings, folder);
    background::start(folder, prepare).map(Running::from)
}

/// Stops the Postgres of this folder in order, and kills it if it does not stop in time, which is an error. Answers whether one ran.
pub fn stop(folder: &Path) -> Result<bool, Error> {
    background::stop::<Server>(folder)
}

/// The Postgres of this folder; that none runs is an error.
pub fn find(folder: &Path) -> Result<Running, Error> {
    let found = background::find::<Server>(folder).ok_or_else(|| background::runs_not::<Server>(folder));
    found.map(Running::from)
}
