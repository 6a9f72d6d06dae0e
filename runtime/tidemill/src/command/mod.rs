//! The command line: pieces that every program of a service shares, and the whole of one service's own.
//!
//! Nouns then verbs; options of a command stand after it. Data goes to standard output, all else to standard error.

mod backfill;
mod beside;
mod database;
mod decision;
mod describe;
mod filter;
mod lag;
mod moved;
mod operate;
mod operator;
mod outbox;
mod past;
mod pause;
mod relay;
mod reset;
mod service;
mod settings;
mod site;
mod table;
mod topics;

use std::fmt::Display;
use std::future::Future;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use tidemill_core::code::{Code, Coded, Exit};

pub use beside::Beside;
pub use database::Database;
pub use operate::{DeadLetters, Inbox, Parked, Sagas, Timers};
pub use operator::main as operator;
pub use outbox::Outbox;
pub use past::Past;
pub use relay::Relay;
pub use service::{main, main_with};
pub use settings::Config;
pub use topics::Topics;

/// Options of every command that reads the configuration. Those of its keys that are used most have a flag of their own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Read this configuration file instead of `tidemill.toml`.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The broker: `memory:`, `embedded:DIR` for a directory of this machine, or `kafka://HOST:PORT[,HOST:PORT]`.
    #[arg(long, value_name = "ADDRESS")]
    pub broker: Option<String>,
    /// Where services keep their state: with the `broker`, or in the database `postgres://USER@HOST:PORT/DATABASE`; rows of programs
    /// that are no services too in `embedded:DIR`.
    #[arg(long, value_name = "PLACE")]
    pub state: Option<String>,
    /// Where services on Kafka keep a copy of their state, so that a restart reads only what came since.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,
    /// The store that a new directory is made with: `sled` or `fjall`.
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// Set any configuration key, such as `limits.commit_interval=50ms`. May be repeated; the last one wins.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
    /// The form of the log: `auto`, `text` or `json`.
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<String>,
}

/// Options of every command that runs services.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct RunOptions {
    /// End when every input is at its end and everything is done and committed.
    #[arg(long)]
    pub until_drained: bool,
}

/// The form of a command's data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it has to be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// The body of a program's `main`: parses the command line into `T` (a usage error ends the process with exit code 2), runs
/// `work` on this thread, prints an error with its code and the page of its remedy, and turns the result into the exit code.
/// [`Configuration::load`](crate::config::Configuration::load), which `work` calls first, starts logging.
pub fn execute<T: clap::Parser, F: Future<Output = Result<Exit, Coded>>>(work: impl FnOnce(T) -> F) -> ExitCode {
    let command = T::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a process that could start can make one more event queue");
    let exit = runtime.block_on(work(command)).unwrap_or_else(|error| {
        report(&error);
        error.code.exit()
    });
    // Nobody waits for threads that still block: everything that counts is committed.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}

/// Prints an error the way an operator reads it.
pub(crate) fn report(error: &Coded) {
    let Coded { code, message } = error;
    // Where standard error is gone, the exit code has to do.
    let _ = writeln!(std::io::stderr(), "error {code}: {message}\n  see docs/errors/{code}.md");
}

/// Prints data on standard output, with a line feed. A reader that has enough and went away is no error.
pub fn print(data: impl Display) -> Result<(), Coded> {
    let mut out = std::io::stdout().lock();
    is_read(writeln!(out, "{data}").and_then(|()| out.flush())).map(drop)
}

/// Whether somebody still reads what was written to standard output.
pub(crate) fn is_read(written: std::io::Result<()>) -> Result<bool, Coded> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Coded::new(Code::WRITE_FAILED, format!("standard output cannot be written: {error}"))),
    }
}

/// Prints data as one line of JSON on standard output.
pub(crate) fn print_line(data: &impl serde::Serialize) -> Result<(), Coded> {
    print(serde_json::to_string(data).expect("what is printed has text keys and no failing parts"))
}

/// Prints data as JSON on standard output.
pub fn print_json(data: &impl serde::Serialize) -> Result<(), Coded> {
    print(serde_json::to_string_pretty(data).expect("what is printed has text keys and no failing parts"))
}
