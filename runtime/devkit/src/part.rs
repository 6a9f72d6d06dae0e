//! A real part: one process over a folder, and the way from a process to somebody who answers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::Error;
use crate::process::{self, Owned};
use crate::{log, wait};

/// How long a part may take until it is ready: seconds on an idle machine, more after a kill with much data on a busy one.
const START_LIMIT: Duration = Duration::from_mins(2);

/// What can be run: its folder is made, its ports are chosen.
pub(crate) trait Part {
    /// What it is called in messages.
    const NAME: &'static str;
    /// How the command line of `devkit` calls it, and its files are called.
    const WORD: &'static str;

    /// The signal that asks it to end in order.
    const STOP: &'static str = "TERM";
    /// What it says, and ends, while processes that the one before it left behind still hold the data. They end by themselves.
    const HELD: Option<&'static str> = None;

    /// The folder that it lies in, as an absolute path.
    fn folder(&self) -> &Path;

    /// The command that runs it.
    fn command(&self) -> Result<Command, Error>;

    /// Whether it answers, after it said this in its log.
    fn is_ready(&self, said: &str) -> bool;

    /// Where it is reached; clients first.
    fn addresses(&self) -> Vec<String>;

    /// What stands in the command line of a process over this folder, and of no other.
    fn mark(folder: &Path) -> PathBuf;
}

/// Where a part logs.
pub(crate) fn log_of<P: Part>(folder: &Path) -> PathBuf {
    folder.join(format!("{}.log", P::WORD))
}

/// Starts a part's process and gives it to `keep`, and waits until it answers; again where others still hold the data.
pub(crate) fn run<P: Part, T>(
    part: &P,
    keep: impl Fn(Child) -> Result<T, Error>,
    child: impl Fn(&mut T) -> &mut Child,
) -> Result<T, Error> {
    let path = log_of::<P>(part.folder());
    let mut last = None;
    let ran = wait::until(START_LIMIT, || {
        let from = fs::metadata(&path).map_or(0, |about| about.len());
        let ran = spawn(part, &path).and_then(&keep).and_then(|mut kept| {
            let process = child(&mut kept);
            ready(part, process, &path, from).inspect_err(|_| process::end(process))?;
            Ok(kept)
        });
        let is_held = ran.is_err() && P::HELD.is_some_and(|words| log::since(&path, from).contains(words));
        if is_held {
            last = ran.err();
            return None;
        }
        Some(ran)
    });
    ran.unwrap_or_else(|| Err(last.expect("it was tried")))
}

fn spawn<P: Part>(part: &P, path: &Path) -> Result<Child, Error> {
    let log = File::options().create(true).append(true).open(path);
    let log = log.map_err(Error::io(format!("cannot write {}", path.display())))?;
    let errors = log.try_clone().map_err(Error::io("cannot open the log twice"))?;
    let mut command = part.command()?;
    process::detach(&mut command);
    command.current_dir(part.folder()).stdout(Stdio::from(log)).stderr(Stdio::from(errors));
    command.spawn().map_err(Error::io(format!("cannot start {}", P::NAME)))
}

fn ready<P: Part>(part: &P, child: &mut Child, path: &Path, from: u64) -> Result<(), Error> {
    let tail = || log::last_lines(&log::since(path, from));
    let answer = wait::until(START_LIMIT, || {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return Some(Err(Error::Ended { name: P::NAME, log: path.to_owned(), tail: tail() }));
        }
        part.is_ready(&log::since(path, from)).then_some(Ok(()))
    });
    let late = || Err(Error::NotReady { name: P::NAME, limit: START_LIMIT, log: path.to_owned(), tail: tail() });
    answer.unwrap_or_else(late)
}

/// A fresh folder for a part's data.
fn fresh_folder<P: Part>() -> Result<TempDir, Error> {
    let made = tempfile::Builder::new().prefix(&format!("tidemill-{}-", P::WORD)).tempdir();
    made.map_err(Error::io(format!("cannot make a folder for the data of {}", P::NAME)))
}

/// A part that ends with this value, and with this process however that ends.
#[derive(Debug)]
pub(crate) struct Instance<P: Part> {
    // The process ends before its folder goes.
    process: Option<Owned>,
    pub(crate) part: P,
    fresh: Option<TempDir>,
}

impl<P: Part> Instance<P> {
    /// Prepares a part in this folder, or in a fresh one that goes with it, and starts it.
    pub(crate) fn start(folder: Option<&Path>, prepare: impl FnOnce(&Path) -> Result<P, Error>) -> Result<Self, Error> {
        let fresh = if folder.is_some() { None } else { Some(fresh_folder::<P>()?) };
        let folder = folder.or_else(|| fresh.as_ref().map(TempDir::path));
        let part = prepare(folder.expect("there is one or the other"))?;
        let mut instance = Self { process: None, part, fresh };
        instance.run()?;
        Ok(instance)
    }

    fn run(&mut self) -> Result<(), Error> {
        let fresh = self.fresh.as_ref().map(TempDir::path);
        self.process = Some(run(&self.part, |child| Owned::new(child, fresh), Owned::child)?);
        Ok(())
    }

    pub(crate) fn process_id(&mut self) -> Option<u32> {
        let child = self.process.as_mut()?.child();
        let runs = child.try_wait().is_ok_and(|status| status.is_none());
        runs.then(|| child.id())
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        self.process.take().map_or(Ok(()), |process| process.stop(P::NAME, P::STOP))
    }

    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.stop()?;
        self.run()
    }
}
