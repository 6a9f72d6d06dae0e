//! One node of Kafka: its data folder, its settings, and the way from a process to a broker that answers.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::Options;
use super::error::Error;
use super::ports::Port;
use super::process;
use super::settings::{self, Ports};
use super::{jars, log, wait};

/// How long Kafka may take until it is ready: seconds on an idle machine, more after a kill with much data on a busy one.
const START_LIMIT: Duration = Duration::from_mins(2);
/// What Kafka logs when it is ready.
const READY: &str = "Kafka Server started";
/// What its log says.
const LOGGING: &str = include_str!("log4j2.properties");

/// A node that can be run.
#[derive(Debug)]
pub(super) struct Node {
    folder: PathBuf,
    ports: Ports,
    heap_mib: u32,
}

impl Node {
    /// Chooses ports, writes the settings, and formats the folder if it is new.
    pub(super) fn prepare(options: &Options, folder: &Path) -> Result<Self, Error> {
        let folder = std::path::absolute(folder).map_err(Error::io("the current folder is gone"))?;
        let client = if options.port == 0 { Port::any()? } else { Port::given(options.port)? };
        let ports = Ports { client, internal: Port::any()?, controller: Port::any()? };
        let node = Self { folder, ports, heap_mib: options.heap_mib };
        let data = node.folder.join("log");
        let settings = settings::server_properties(&node.ports, &data, &options.properties);
        fs::create_dir_all(&node.folder)
            .and_then(|()| fs::write(node.settings(), settings))
            .and_then(|()| fs::write(node.logging(), LOGGING))
            .map_err(Error::io(format!("cannot write to {}", node.folder.display())))?;
        if !data.join("meta.properties").exists() {
            node.format()?;
        }
        Ok(node)
    }

    /// Where clients reach it.
    pub(super) fn address(&self) -> String {
        self.ports.client.address()
    }

    /// Where its tools reach it.
    pub(super) fn admin_address(&self) -> String {
        self.ports.internal.address()
    }

    /// Where its settings stand; a process that has this path in its command line is this node.
    pub(super) fn settings(&self) -> PathBuf {
        self.folder.join(SETTINGS_FILE)
    }

    fn logging(&self) -> PathBuf {
        self.folder.join("log4j2.properties")
    }

    fn format(&self) -> Result<(), Error> {
        let output = jars::short_lived("kafka.tools.StorageTool")?
            .args(["format", "-t", &cluster_id(), "-c"])
            .arg(self.settings())
            .stdin(Stdio::null())
            .output()
            .map_err(Error::io("cannot start java"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Format { output: log::last_lines(&log::both(&output)) })
    }

    /// Starts its process and gives it to `keep`; then waits until the broker answers.
    pub(super) fn run<T>(
        &self,
        keep: impl FnOnce(Child) -> Result<T, Error>,
        child: impl FnOnce(&mut T) -> &mut Child,
    ) -> Result<T, Error> {
        let path = self.folder.join("kafka.log");
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(Error::io(format!("cannot write {}", path.display())))?;
        let from = log.metadata().map_or(0, |about| about.len());
        let errors = log.try_clone().map_err(Error::io("cannot open the log twice"))?;
        let mut java = jars::java()?;
        process::detach(&mut java);
        let started = java
            .arg(format!("-Xmx{}m", self.heap_mib))
            .arg("-XX:+ExitOnOutOfMemoryError")
            .arg(format!("-Dlog4j2.configurationFile={}", self.logging().display()))
            .arg("kafka.Kafka")
            .arg(self.settings())
            .current_dir(&self.folder)
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(errors))
            .spawn()
            .map_err(Error::io("cannot start java"))?;
        let mut kept = keep(started)?;
        let process = child(&mut kept);
        self.ready(process, &path, from).inspect_err(|_| process::end(process))?;
        Ok(kept)
    }

    fn ready(&self, child: &mut Child, path: &Path, from: u64) -> Result<(), Error> {
        let ended = || Error::Ended { log: path.to_owned(), tail: log::last_lines(&log::since(path, from)) };
        let answer = wait::until(START_LIMIT, || {
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                return Some(Err(ended()));
            }
            let is_ready = log::since(path, from).contains(READY) && TcpStream::connect(self.address()).is_ok();
            is_ready.then_some(Ok(()))
        });
        answer.unwrap_or_else(|| {
            let tail = log::last_lines(&log::since(path, from));
            Err(Error::NotReady { limit: START_LIMIT, log: path.to_owned(), tail })
        })
    }
}

/// The name of the file with the settings, in the data folder.
pub(super) const SETTINGS_FILE: &str = "server.properties";

/// A new id of a cluster: 22 letters of the alphabet that Kafka writes its ids with.
fn cluster_id() -> String {
    let chance = || RandomState::new().hash_one(());
    let digits = format!("{:016x}{:016x}", chance(), chance());
    format!("{}A", &digits[..21])
}
