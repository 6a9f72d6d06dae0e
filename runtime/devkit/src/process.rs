//! A part's process, and what ends it.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::error::Error;
use crate::wait;

/// How long a process may take to stop when it is told to.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Reads until its standard input ends without a line, which says that its owner is gone, however that happened. Then it ends
/// the process and deletes the folder that nobody else would.
const WATCHDOG: &str = r#"read -r _ || { kill -s KILL "$1"; sleep 1; if [ -n "$2" ]; then rm -rf "$2"; fi; }"#;

/// A process that does not outlive this one, even if this one is killed.
#[derive(Debug)]
pub(crate) struct Owned {
    child: Child,
    watchdog: Child,
}

impl Owned {
    /// Takes a process into keeping. `folder` is deleted if this process is gone before that one.
    pub(crate) fn new(mut child: Child, folder: Option<&Path>) -> Result<Self, Error> {
        let mut watchdog = quiet("sh");
        watchdog.args(["-c", WATCHDOG, "watchdog", &child.id().to_string()]);
        watchdog.arg(folder.unwrap_or_else(|| Path::new(""))).stdin(Stdio::piped());
        let watchdog = watchdog.spawn().map_err(|source| {
            end(&mut child);
            Error::Io { what: "cannot start sh".to_owned(), source }
        })?;
        Ok(Self { child, watchdog })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends the signal that asks it to end, and waits.
    pub(crate) fn stop(mut self, name: &'static str, by: &str) -> Result<(), Error> {
        signal(self.child.id(), by)?;
        let stopped = wait::until(STOP_LIMIT, || self.child.try_wait().ok().flatten());
        stopped.map(|_| ()).ok_or(Error::NotStopped { name, limit: STOP_LIMIT })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        end(&mut self.child);
        // A line tells the watchdog that there is nothing left to do.
        if let Some(mut input) = self.watchdog.stdin.take() {
            let _ = input.write_all(b"\n");
        }
        let _ = self.watchdog.wait();
    }
}

/// Kills a process of ours, and waits for its end. One that ended already has nothing to answer.
pub(crate) fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A command without a terminal: it reads and says nothing, and what is typed to end its parent does not reach it.
pub(crate) fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    detach(&mut command);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Takes a command away from the terminal.
pub(crate) fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.stdin(Stdio::null()).process_group(0);
}

/// Sends a signal through the shell, since the standard library sends none but the one that kills.
pub(crate) fn signal(process: u32, name: &str) -> Result<(), Error> {
    let sent = quiet("sh").args(["-c", r#"kill -s "$1" "$2""#, "kill", name, &process.to_string()]).status();
    sent.map(|_| ()).map_err(Error::io("cannot start sh"))
}

/// Whether a process runs whose command line holds this text. Numbers of processes are given out again, so a number alone
/// would not do.
pub(crate) fn runs(process: u32, text: &str) -> bool {
    let script = r#"cat "/proc/$1/cmdline" 2>/dev/null || ps -o args= -p "$1""#;
    let shown = Command::new("sh").args(["-c", script, "runs", &process.to_string()]).stderr(Stdio::null()).output();
    shown.is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains(text))
}
