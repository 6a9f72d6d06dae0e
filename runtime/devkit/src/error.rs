//! What can go wrong with a part of ours.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a part could not be started, stopped or asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that is needed is not installed.
    #[error("{program} is not installed; install {install}")]
    Missing {
        /// The program.
        program: &'static str,
        /// What brings it.
        install: &'static str,
    },
    /// Maven could not bring what is run.
    #[error("{name} could not be fetched; Maven says:\n{output}")]
    Fetch {
        /// What it is.
        name: &'static str,
        /// The last lines of what Maven said.
        output: String,
    },
    /// Somebody listens on the port already.
    #[error("port {0} is taken by another program")]
    PortTaken(u16),
    /// Every port that a part may be given is taken.
    #[error("no port is free between {0} and {1}")]
    NoPort(u16, u16),
    /// The data folder could not be formatted, most often because of a setting.
    #[error("{name} could not format its data folder; it says:\n{output}")]
    Format {
        /// What it is.
        name: &'static str,
        /// The last lines of what the tool said.
        output: String,
    },
    /// A part ended before it was ready.
    #[error("{name} ended instead of starting; the last lines of {}:\n{tail}", log.display())]
    Ended {
        /// What it is.
        name: &'static str,
        /// Where it logs.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A part was not ready in time, and was ended.
    #[error("{name} was not ready after {} s; the last lines of {}:\n{tail}", limit.as_secs(), log.display())]
    NotReady {
        /// What it is.
        name: &'static str,
        /// How long it was given.
        limit: Duration,
        /// Where it logs.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A part was told to stop, did not, and was killed.
    #[error("{name} did not stop within {} s and was killed", limit.as_secs())]
    NotStopped {
        /// What it is.
        name: &'static str,
        /// How long it was given.
        limit: Duration,
    },
    /// In this data folder runs one already.
    #[error("{name} runs already, at {address} (process {process})")]
    Runs {
        /// What it is.
        name: &'static str,
        /// Its address.
        address: String,
        /// Its process id.
        process: u32,
    },
    /// None runs in this data folder.
    #[error("{name} does not run in {}; start it with `cargo run -p devkit -- {word} start`", folder.display())]
    RunsNot {
        /// What it is.
        name: &'static str,
        /// How the command line calls it.
        word: &'static str,
        /// The data folder.
        folder: PathBuf,
    },
    /// A tool of Kafka that has no short name here.
    #[error("there is no tool {name:?}; there are: {known}")]
    UnknownTool {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A file could not be written or read, or a process not be started.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: the system refused what is described here.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    /// The exit code of a program that ends because of this, in the convention of every tidemill program: 1 problems found,
    /// 2 usage, 3 refused by a precondition, 5 unreachable.
    pub fn exit(&self) -> u8 {
        match self {
            Self::UnknownTool { .. } => 2,
            Self::Missing { .. } | Self::PortTaken(_) | Self::NoPort(..) | Self::Runs { .. } => 3,
            Self::Fetch { .. } | Self::RunsNot { .. } => 5,
            Self::Format { .. }
            | Self::Ended { .. }
            | Self::NotReady { .. }
            | Self::NotStopped { .. }
            | Self::Io { .. } => 1,
        }
    }
}
