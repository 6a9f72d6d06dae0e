//! The command line of the storefront.

use clap::{Args, Parser, Subcommand};
use tidemill::code::{Coded, Exit};
use tidemill::command::{self, Beside, Config, DeadLetters, Options, Parked, Topics};

use crate::serve;
use crate::store::TABLES;
use crate::{NAME, description, service};

/// The shop's HTTP front.
#[derive(Debug, Parser)]
#[command(name = NAME, version, disable_help_subcommand = true)]
pub struct Storefront {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take orders until SIGTERM or ctrl-c, and send their events.
    Run(Run),
    /// Show what the storefront offers. It needs no other part.
    #[command(subcommand)]
    Describe(Describe),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(Config),
    /// The topics that events are sent to.
    #[command(subcommand)]
    Topics(Topics),
    /// Records of the checkout's answers that failed for good.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Records of the checkout's answers that wait for a time or an operator.
    #[command(subcommand)]
    Parked(Parked),
    #[command(flatten)]
    Beside(Beside),
}

/// Options of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The address to listen on; port 0 takes a free one, which the log names.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    #[command(flatten)]
    pub(crate) common: Options,
}

#[derive(Debug, Subcommand)]
enum Describe {
    /// The HTTP routes, as an OpenAPI 3.1 document in JSON.
    Openapi,
}

/// Does what the command line asks for.
pub async fn work(storefront: Storefront) -> Result<Exit, Coded> {
    match storefront.command {
        Command::Run(run) => serve::run(run).await,
        Command::Describe(Describe::Openapi) => command::print_json(&description()).map(|()| Exit::Done),
        Command::Config(command) => command.carry_out(),
        Command::Topics(command) => command.carry_out(NAME, serve::declare).await,
        Command::DeadLetters(command) => command.carry_out(vec![service()]).await,
        Command::Parked(command) => command.carry_out(vec![service()]).await,
        Command::Beside(command) => command.carry_out_with(&[TABLES]).await,
    }
}
