//! A Kafka that goes on when the program that started it has ended. A file in its data folder tells how to find it again.

use std::path::Path;
use std::process::ExitStatus;

use super::Options;
use super::node::Node;
use super::tools;
use crate::background;
use crate::error::Error;

/// A Kafka that runs in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process id.
    pub process: u32,
    /// Where clients reach it, as `HOST:PORT`.
    pub address: String,
    /// Where its tools reach it, as `HOST:PORT`.
    pub admin_address: String,
}

impl From<background::Running> for Running {
    fn from(running: background::Running) -> Self {
        let admin_address = running.addresses.last().cloned().unwrap_or_default();
        Self { process: running.process, address: running.address(), admin_address }
    }
}

/// Starts a Kafka in this folder and waits until it answers. One that runs there already is an error.
pub fn start(options: &Options, folder: &Path) -> Result<Running, Error> {
    background::start(folder, |folder| Node::prepare(options, folder)).map(Running::from)
}

/// Stops the Kafka of this folder in order, and kills it if it does not stop in time, which is an error. Answers whether one ran.
pub fn stop(folder: &Path) -> Result<bool, Error> {
    background::stop::<Node>(folder)
}

/// The Kafka of this folder; that none runs is an error.
pub fn find(folder: &Path) -> Result<Running, Error> {
    let found = background::find::<Node>(folder).ok_or_else(|| background::runs_not::<Node>(folder));
    found.map(Running::from)
}

/// Runs one of Kafka's own tools with this process's input and output, and answers how it ended. A tool that is called by its name
/// is told the address of this folder's Kafka, unless the arguments name one.
pub fn tool(folder: &Path, name: &str, arguments: &[String]) -> Result<ExitStatus, Error> {
    let mut tool = tools::command(name)?;
    let is_told = arguments.iter().any(|argument| argument == "--bootstrap-server");
    if tools::is_name(name) && !is_told {
        tool.args(["--bootstrap-server", &find(folder)?.admin_address]);
    }
    tool.args(arguments).status().map_err(Error::io("cannot start java"))
}
