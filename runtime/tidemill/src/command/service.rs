//! The command line of one service.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use tidemill_core::code::{Coded, Exit};
use tidemill_core::service::ServiceBuilder;

use crate::command::reset::Wanted;
use crate::command::{
    Beside, Config, DeadLetters, Inbox, Options, Output, Parked, Past, RunOptions, Sagas, Timers, Topics, backfill,
    describe, execute, lag, pause, reset,
};
use crate::config::Configuration;
use crate::host::{Host, Until};

/// Runs the service and operates it.
#[derive(Parser)]
#[command(disable_help_subcommand = true)]
struct Program<T: Args> {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    own: T,
}

/// No options of one's own.
#[derive(Args)]
struct Nothing {}

#[derive(Subcommand)]
enum Command {
    /// Run the service until SIGTERM or ctrl-c, or until nothing is left to do.
    Run {
        #[command(flatten)]
        run: RunOptions,
        #[command(flatten)]
        options: Options,
    },
    /// Show what the service is made of: handlers, events, topics, limits.
    Describe {
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        options: Options,
    },
    /// Look at the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Create and check topics.
    #[command(subcommand)]
    Topics(Topics),
    /// Let the service go on elsewhere in its inputs. It must not run.
    Reset {
        #[command(flatten)]
        wanted: Wanted,
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        options: Options,
    },
    /// Have the service, or one new handler of it, catch up with what was, so that nothing leaves because of it. It must not run.
    Backfill {
        #[command(flatten)]
        wanted: backfill::Wanted,
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        options: Options,
    },
    /// Let the service begin nothing new, in all its instances and those that come. What is under way ends.
    Pause {
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        options: Options,
    },
    /// Let a paused service go on.
    Resume {
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        options: Options,
    },
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
    /// Events that had their effects, so that copies of them have none: look one up.
    #[command(subcommand)]
    Inbox(Inbox),
    #[command(flatten)]
    Past(Past),
    #[command(flatten)]
    Beside(Beside),
    /// Show how many records the service has still to do.
    Lag {
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        options: Options,
    },
}

/// The `main` of a service's program: `run`, `describe`, `config show`, `topics create`, `topics check`,
/// `lag`, `pause`, `resume`, `reset`, `backfill`, `dead-letters`, `parked`, `sagas`, `timers`, `inbox`, `replay`, `history`, `journey`, `snapshot`, `events`, `capture`, `debug`, `testcase`, `database`, `outbox` and `relay`.
pub fn main(service: ServiceBuilder) -> ExitCode {
    main_with(|_: Nothing| service)
}

/// As [`main`], for a service that depends on options of its own. Declare them with `#[arg(global = true)]`, so that they can stand behind any
/// command.
pub fn main_with<T: Args>(service: impl FnOnce(T) -> ServiceBuilder) -> ExitCode {
    execute(|program: Program<T>| carry_out(program.command, service(program.own)))
}

async fn carry_out(command: Command, service: ServiceBuilder) -> Result<Exit, Coded> {
    match command {
        Command::Run { run, options } => {
            let until = if run.until_drained { Until::Drained } else { Until::Stopped };
            existing(Configuration::load(&options)?, service)?.run(until).await
        }
        Command::Describe { output, options } => describe::show(&Configuration::load(&options)?, service, output),
        Command::Config(command) => command.carry_out(),
        Command::Topics(command) => {
            let name = Arc::clone(service.name());
            command.carry_out(&name, |host| host.add(service)).await
        }
        Command::Reset { wanted, output, mut options } => {
            let wanted = wanted.or_of(&mut options);
            reset::reset(&existing(Configuration::load(&options)?, service)?, &wanted, output).await
        }
        Command::Backfill { wanted, output, mut options } => {
            let wanted = wanted.or_of(&mut options);
            backfill::backfill(&existing(Configuration::load(&options)?, service)?, &wanted, output).await
        }
        Command::Pause { output, options } => {
            pause::set(&existing(Configuration::load(&options)?, service)?, true, output).await
        }
        Command::Resume { output, options } => {
            pause::set(&existing(Configuration::load(&options)?, service)?, false, output).await
        }
        Command::DeadLetters(command) => command.carry_out(vec![service]).await,
        Command::Parked(command) => command.carry_out(vec![service]).await,
        Command::Sagas(command) => command.carry_out(vec![service]).await,
        Command::Timers(command) => command.carry_out(vec![service]).await,
        Command::Inbox(command) => command.carry_out(vec![service]).await,
        Command::Past(command) => command.carry_out(vec![service]).await,
        Command::Beside(command) => command.carry_out().await,
        Command::Lag { output, options } => {
            lag::show(&existing(Configuration::load(&options)?, service)?, output).await
        }
    }
}

/// A host of this service on a broker that is there already.
fn existing(configuration: Configuration, service: ServiceBuilder) -> Result<Host, Coded> {
    let mut host = Host::open_existing(configuration, service.name())?;
    host.add(service)?;
    Ok(host)
}
