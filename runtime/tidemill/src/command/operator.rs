//! The command line for operators of any service, whose handlers need not be known.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::{Beside, DeadLetters, Parked, Sagas, Timers, execute};

/// Operates services, whatever they are made of. `--service NAME` says which one is meant.
#[derive(Parser)]
#[command(name = "tidemill", version, disable_help_subcommand = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Records that failed for good: list them, have them handled again, give them up.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Records that wait for a time or an operator: list them, let them go on, give them up.
    #[command(subcommand)]
    Parked(Parked),
    /// Processes that go on from event to event: list them, show how one stands and what happened to it.
    #[command(subcommand)]
    Sagas(Sagas),
    /// What handlers have scheduled: list it.
    #[command(subcommand)]
    Timers(Timers),
    #[command(flatten)]
    Beside(Beside),
}

/// The `main` of the program `tidemill`: `dead-letters`, `parked`, `sagas`, `timers`, `database`, `outbox` and `relay`, for any service.
pub fn main() -> ExitCode {
    execute(|program: Program| async {
        match program.command {
            Command::DeadLetters(command) => command.carry_out(Vec::new()).await,
            Command::Parked(command) => command.carry_out(Vec::new()).await,
            Command::Sagas(command) => command.carry_out(Vec::new()).await,
            Command::Timers(command) => command.carry_out(Vec::new()).await,
            Command::Beside(command) => command.carry_out().await,
        }
    })
}
