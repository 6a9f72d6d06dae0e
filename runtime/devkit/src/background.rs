//! A part that goes on when the program that started it has ended. A file in its data folder tells how to find it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::error::Error;
use crate::part::{self, Part};
use crate::process::{self, STOP_LIMIT};
use crate::wait;

/// A part that runs in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) process: u32,
    /// Where it is reached; clients first.
    pub(crate) addresses: Vec<String>,
}

impl Running {
    /// Where clients reach it.
    pub(crate) fn address(&self) -> String {
        self.addresses.first().cloned().unwrap_or_default()
    }
}

/// In the data folder: the process id, and the addresses, each on a line.
fn file<P: Part>(folder: &Path) -> PathBuf {
    folder.join(format!("{}.pid", P::WORD))
}

/// Starts a part in this folder and waits until it answers. One that runs there already is an error.
pub(crate) fn start<P: Part>(folder: &Path, prepare: impl FnOnce(&Path) -> Result<P, Error>) -> Result<Running, Error> {
    if let Some(running) = find::<P>(folder) {
        return Err(Error::Runs { name: P::NAME, address: running.address(), process: running.process });
    }
    let part = prepare(folder)?;
    let keep = |mut child: Child| {
        let running = Running { process: child.id(), addresses: part.addresses() };
        // Written before it is ready, so that a start that is broken off leaves nothing that cannot be stopped.
        let text = format!("{}\n{}\n", running.process, running.addresses.join("\n"));
        let written = fs::write(file::<P>(folder), text);
        written.map_err(Error::io(format!("cannot write to {}", folder.display()))).inspect_err(|_| {
            process::end(&mut child);
        })?;
        Ok((child, running))
    };
    let started = part::run(&part, keep, |(child, _)| child);
    started.map(|(_, running)| running).inspect_err(|_| forget::<P>(folder))
}

/// Stops the part of this folder in order, and kills it if it does not stop in time, which is an error. Answers whether one ran.
pub(crate) fn stop<P: Part>(folder: &Path) -> Result<bool, Error> {
    let Some(Running { process, .. }) = find::<P>(folder) else {
        forget::<P>(folder);
        return Ok(false);
    };
    process::signal(process, P::STOP)?;
    let stopped = wait::until(STOP_LIMIT, || find::<P>(folder).is_none().then_some(()));
    if stopped.is_none() {
        process::signal(process, "KILL")?;
    }
    forget::<P>(folder);
    stopped.map(|()| true).ok_or(Error::NotStopped { name: P::NAME, limit: STOP_LIMIT })
}

/// The part of this folder, if one runs.
pub(crate) fn find<P: Part>(folder: &Path) -> Option<Running> {
    let text = fs::read_to_string(file::<P>(folder)).ok()?;
    let mut lines = text.lines();
    let process = lines.next()?.parse().ok()?;
    let addresses: Vec<String> = lines.map(str::to_owned).collect();
    let mark = P::mark(&std::path::absolute(folder).ok()?);
    let runs = !addresses.is_empty() && process::runs(process, mark.to_str()?);
    runs.then_some(Running { process, addresses })
}

/// That none of this folder runs.
pub(crate) fn runs_not<P: Part>(folder: &Path) -> Error {
    Error::RunsNot { name: P::NAME, word: P::WORD, folder: folder.to_owned() }
}

/// Deletes the file of a part that runs no more; where it is gone already, nothing is left to do.
fn forget<P: Part>(folder: &Path) {
    let _ = fs::remove_file(file::<P>(folder));
}
