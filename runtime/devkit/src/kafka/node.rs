//! One node of Kafka: its data folder, its settings, and its process.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::settings::{self, Ports};
use super::{Options, jars};
use crate::error::Error;
use crate::log;
use crate::part::Part;
use crate::ports::Port;

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
        let client = Port::asked(options.port)?;
        let ports = Ports { client, internal: Port::any()?, controller: Port::any()? };
        let node = Self { folder, ports, heap_mib: options.heap_mib };
        let data = node.folder.join("log");
        let settings = settings::server_properties(&node.ports, &data, &options.properties);
        fs::create_dir_all(&node.folder)
            .and_then(|()| fs::write(Self::mark(&node.folder), settings))
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

    fn logging(&self) -> PathBuf {
        self.folder.join("log4j2.properties")
    }

    fn format(&self) -> Result<(), Error> {
        let output = jars::short_lived("kafka.tools.StorageTool")?
            .args(["format", "-t", &cluster_id(), "-c"])
            .arg(Self::mark(&self.folder))
            .stdin(Stdio::null())
            .output()
            .map_err(Error::io("cannot start java"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Format { name: Self::NAME, output: log::last_lines(&log::both(&output)) })
    }
}

impl Part for Node {
    const NAME: &'static str = "Kafka";
    const WORD: &'static str = "kafka";

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self) -> Result<Command, Error> {
        let mut java = jars::java()?;
        java.arg(format!("-Xmx{}m", self.heap_mib))
            .arg("-XX:+ExitOnOutOfMemoryError")
            .arg(format!("-Dlog4j2.configurationFile={}", self.logging().display()))
            .arg("kafka.Kafka")
            .arg(Self::mark(&self.folder));
        Ok(java)
    }

    fn is_ready(&self, said: &str) -> bool {
        said.contains(READY) && TcpStream::connect(self.address()).is_ok()
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.address(), self.admin_address()]
    }

    /// Where its settings stand.
    fn mark(folder: &Path) -> PathBuf {
        folder.join("server.properties")
    }
}

/// A new id of a cluster: 22 letters of the alphabet that Kafka writes its ids with.
fn cluster_id() -> String {
    let chance = || RandomState::new().hash_one(());
    let digits = format!("{:016x}{:016x}", chance(), chance());
    format!("{}A", &digits[..21])
}
