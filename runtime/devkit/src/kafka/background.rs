//! A Kafka that goes on when the program that started it has ended. A file in its data folder tells how to find it again.

use std::fs;
use std::path::Path;
use std::process::{Child, ExitStatus};

use super::Options;
use super::error::Error;
use super::node::{Node, SETTINGS_FILE};
use super::process::{self, STOP_LIMIT};
use super::{tools, wait};

/// In the data folder: the process id, the address for clients and that for tools, each on a line.
const PID_FILE: &str = "kafka.pid";

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

/// Starts a Kafka in this folder and waits until it answers. One that runs there already is an error.
pub fn start(options: &Options, folder: &Path) -> Result<Running, Error> {
    if let Some(Running { process, address, .. }) = find(folder) {
        return Err(Error::Runs { address, process });
    }
    let node = Node::prepare(options, folder)?;
    let keep = |mut child: Child| {
        let running = Running { process: child.id(), address: node.address(), admin_address: node.admin_address() };
        let Running { process, address, admin_address } = &running;
        // Written before it is ready, so that a start that is broken off leaves nothing that cannot be stopped.
        let written = fs::write(folder.join(PID_FILE), format!("{process}\n{address}\n{admin_address}\n"));
        written.map_err(Error::io(format!("cannot write to {}", folder.display()))).inspect_err(|_| {
            process::end(&mut child);
        })?;
        Ok((child, running))
    };
    let started = node.run(keep, |(child, _)| child);
    started.map(|(_, running)| running).inspect_err(|_| forget(folder))
}

/// Stops the Kafka of this folder in order, and kills it if it does not stop in time, which is an error. Answers whether one ran.
pub fn stop(folder: &Path) -> Result<bool, Error> {
    let Some(Running { process, .. }) = find(folder) else {
        forget(folder);
        return Ok(false);
    };
    process::signal(process, "TERM")?;
    let stopped = wait::until(STOP_LIMIT, || find(folder).is_none().then_some(()));
    if stopped.is_none() {
        process::signal(process, "KILL")?;
    }
    forget(folder);
    stopped.map(|()| true).ok_or(Error::NotStopped(STOP_LIMIT))
}

/// The Kafka of this folder, if one runs.
pub fn find(folder: &Path) -> Option<Running> {
    let text = fs::read_to_string(folder.join(PID_FILE)).ok()?;
    let mut lines = text.lines();
    let process = lines.next()?.parse().ok()?;
    let (address, admin_address) = (lines.next()?.to_owned(), lines.next()?.to_owned());
    let settings = std::path::absolute(folder).ok()?.join(SETTINGS_FILE);
    process::runs(process, settings.to_str()?).then_some(Running { process, address, admin_address })
}

/// Runs one of Kafka's own tools with this process's input and output, and answers how it ended. A tool that is called by its name
/// is told the address of this folder's Kafka, unless the arguments name one.
pub fn tool(folder: &Path, name: &str, arguments: &[String]) -> Result<ExitStatus, Error> {
    let mut tool = tools::command(name)?;
    let is_told = arguments.iter().any(|argument| argument == "--bootstrap-server");
    if tools::is_name(name) && !is_told {
        let running = find(folder).ok_or_else(|| Error::RunsNot(folder.to_owned()))?;
        tool.args(["--bootstrap-server", &running.admin_address]);
    }
    tool.args(arguments).status().map_err(Error::io("cannot start java"))
}

/// Deletes the file of a Kafka that runs no more; where it is gone already, nothing is left to do.
fn forget(folder: &Path) {
    let _ = fs::remove_file(folder.join(PID_FILE));
}
