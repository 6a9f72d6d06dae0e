//! Kafka as one node that keeps its data in a folder, run from Maven's jars. Java 17 and Maven have to be installed; the jars are
//! fetched once and kept in the user's cache folder.

pub mod background;
mod jars;
mod node;
mod settings;
mod shared;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::part::{Instance, Part};
use node::Node;

pub use crate::error::Error;
pub use shared::{for_tests, own_for_tests};

/// How to run a node.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its data, settings and log are; a fresh folder that goes with the node if there is none. A folder that held data
    /// before is used again.
    pub data: Option<PathBuf>,
    /// The port for clients; 0 chooses a free one.
    pub port: u16,
    /// Settings of the broker beside ours, or instead of them. Clients come in at the listener `CLIENT`, so that
    /// `listener.security.protocol.map` says how they do, and `listener.name.client.…` with what.
    pub properties: Vec<(String, String)>,
    /// The most memory of Java's heap, in MiB.
    pub heap_mib: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { data: None, port: 0, properties: Vec::new(), heap_mib: 512 }
    }
}

/// A node of Kafka that ends with this value, and with this process however that ends.
#[derive(Debug)]
pub struct Kafka(Instance<Node>);

impl Kafka {
    /// Starts a node and waits until it answers. The first call on a machine fetches the jars.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Instance::start(options.data.as_deref(), |folder| Node::prepare(options, folder)).map(Self)
    }

    /// Where clients reach it, as `HOST:PORT`. It stays the same over [`restart`](Self::restart).
    pub fn address(&self) -> String {
        self.0.part.address()
    }

    /// Where its tools reach it, as `HOST:PORT`: without encryption or a name, and allowed everything, whatever clients need.
    pub fn admin_address(&self) -> String {
        self.0.part.admin_address()
    }

    /// The folder with its data, its settings and its log (`kafka.log`).
    pub fn folder(&self) -> &Path {
        self.0.part.folder()
    }

    /// The id of its process, if it has one.
    pub fn process_id(&mut self) -> Option<u32> {
        self.0.process_id()
    }

    /// Ends it at once, as a crash would (SIGKILL). What it had acknowledged is there after [`restart`](Self::restart).
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

    /// Runs one of Kafka's own tools to its end, as [`tool`] does. Its arguments begin with `--bootstrap-server` and
    /// [`admin_address`](Self::admin_address) as a rule.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> Result<Output, Error> {
        tool(class, arguments)
    }
}

/// Runs one of Kafka's own tools to its end and answers what it said. `class` is a Java class, or the name of the script that
/// starts it elsewhere without `kafka-` and `.sh`, such as `topics` or `consumer-groups`. How it ended is for the caller to look at.
pub fn tool(class: &str, arguments: &[&str]) -> Result<Output, Error> {
    let mut tool = tool_command(class)?;
    tool.args(arguments).stdin(Stdio::null()).output().map_err(Error::io("cannot start java"))
}

/// The command that [`tool`] runs, for callers who feed it or read what it says while it runs.
pub fn tool_command(class: &str) -> Result<Command, Error> {
    tools::command(class)
}
