//! The command line of the shop.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ingest::Input;
use orders::Bug;
use tidemill::code::{Coded, Exit};
use tidemill::command::{Beside, DeadLetters, Inbox, Options, Output, Parked, Past, RunOptions, Sagas, Timers};

use crate::{demo, feed, report, services};

/// How many lines are made up when no input is named.
const GENERATED_LINES: u64 = 100_000;
/// The seed they are made from.
const GENERATED_SEED: u64 = 1;

/// The sample shop. Without a command it runs the demo: it feeds its services, waits until everything is done, and reports.
#[derive(Debug, Parser)]
#[command(name = "shop", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Shop {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: Demo,
    #[command(flatten)]
    luck: Luck,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates topics, feeds the input, runs all services in one process until everything is done, and reports.
    ///
    /// In a directory that holds data already, the input is added to it, and the report tells of everything there. The same
    /// input fed twice counts twice.
    Demo(Demo),
    /// Feeds the input, and runs no service. Makes the topics if they are missing.
    Ingest(Ingest),
    /// Runs services.
    Run(Run),
    /// Reports what the services know.
    Report(Report),
    /// The topics of the shop.
    #[command(subcommand)]
    Topics(Topics),
    /// Records that failed for good, of all services.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Records that wait for a time or an operator, of all services.
    #[command(subcommand)]
    Parked(Parked),
    /// Processes that go on from event to event, of all services.
    #[command(subcommand)]
    Sagas(Sagas),
    /// What handlers have scheduled, of all services: list it.
    #[command(subcommand)]
    Timers(Timers),
    /// Events that had their effects, so that copies of them have none: look one up.
    #[command(subcommand)]
    Inbox(Inbox),
    #[command(flatten)]
    Past(Past),
    #[command(flatten)]
    Beside(Beside),
}

/// Options of the demo.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) source: Source,
    /// How to print the report.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) common: Options,
}

/// Options of `ingest`.
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) common: Options,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Runs these services only, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) until: RunOptions,
    #[command(flatten)]
    pub(crate) common: Options,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// How to print the report.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) common: Options,
}

/// What goes wrong in the shop: the same seed has the same go wrong.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Luck {
    /// Has the bank of `payments` fail where this seed says so, adds bytes that are no events, and reports both.
    #[arg(long, global = true, value_name = "SEED")]
    pub(crate) faults: Option<u64>,
    /// Has carriers refuse orders where this seed says so.
    #[arg(long, global = true, value_name = "SEED", default_value_t = shipping::SEED)]
    pub(crate) carriers: u64,
    /// Builds a bug into `orders`, for a replay to find.
    #[arg(long, global = true, value_enum, value_name = "BUG")]
    pub(crate) bug: Option<Bug>,
}

impl Default for Luck {
    fn default() -> Self {
        Self { faults: None, carriers: shipping::SEED, bug: None }
    }
}

#[derive(Debug, Subcommand)]
enum Topics {
    /// Creates the topics that are missing.
    Create(Asked),
    /// Says which topics are missing.
    Check(Asked),
}

/// Options of `topics`.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    pub(crate) common: Options,
}

/// Where order lines come from.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Reads order lines from a CSV, gzipped or not. Without it they are made up.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How many lines to make up.
    #[arg(long, value_name = "N", default_value_t = GENERATED_LINES, conflicts_with = "input")]
    lines: u64,
    /// The seed to make them up from: the same seed makes the same lines.
    #[arg(long, value_name = "S", default_value_t = GENERATED_SEED, conflicts_with = "input")]
    seed: u64,
    /// Writes the lines that cannot be read to this file, as a CSV with their number and the reason.
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
}

impl Source {
    /// The input that is meant.
    pub(crate) fn input(&self) -> Input {
        match &self.input {
            Some(path) => Input::File(path.clone()),
            None => Input::Generated { lines: self.lines, seed: self.seed },
        }
    }
}

/// Does what the command line asks for.
pub(crate) async fn work(shop: Shop) -> Result<Exit, Coded> {
    let Shop { command, demo, luck } = shop;
    match command {
        None => demo::demo(demo, luck).await,
        Some(Command::Demo(options)) => demo::demo(options, luck).await,
        Some(Command::Ingest(options)) => feed::ingest(options, luck).await,
        Some(Command::Run(options)) => demo::run(options, luck).await,
        Some(Command::Report(options)) => report::report(options, luck).await,
        Some(Command::Topics(Topics::Create(options))) => feed::create_topics(options, luck).await,
        Some(Command::Topics(Topics::Check(options))) => feed::check_topics(options, luck).await,
        Some(Command::DeadLetters(command)) => command.carry_out(services::all(luck)).await,
        Some(Command::Parked(command)) => command.carry_out(services::all(luck)).await,
        Some(Command::Sagas(command)) => command.carry_out(services::all(luck)).await,
        Some(Command::Timers(command)) => command.carry_out(services::all(luck)).await,
        Some(Command::Inbox(command)) => command.carry_out(services::all(luck)).await,
        Some(Command::Past(command)) => command.carry_out(services::all(luck)).await,
        Some(Command::Beside(command)) => command.carry_out().await,
    }
}

#[cfg(test)]
mod tests;
