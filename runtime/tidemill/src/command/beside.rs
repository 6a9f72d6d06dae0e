//! What lies beside the log, as every program operates it: a database, its outbox, and the relay between.

use clap::Subcommand;
use tidemill_core::code::{Coded, Exit};
use tidemill_postgres::Tables;

use crate::command::{Database, Outbox, Relay};

/// `database`, `outbox` and `relay`, to be flattened into a program's commands.
#[derive(Debug, Subcommand)]
pub enum Beside {
    /// The tables in the database that `state` names.
    #[command(subcommand)]
    Database(Database),
    /// Events that wait to be sent, and those that the log did not take.
    #[command(subcommand)]
    Outbox(Outbox),
    /// Send what lies in the outbox, and nothing else.
    #[command(subcommand)]
    Relay(Relay),
}

impl Beside {
    /// Does what is asked for.
    pub async fn carry_out(self) -> Result<Exit, Coded> {
        self.carry_out_with(&[]).await
    }

    /// The same for a program that has tables of its own beside the runtime's.
    pub async fn carry_out_with(self, own: &[Tables<'_>]) -> Result<Exit, Coded> {
        match self {
            Self::Database(command) => command.carry_out(own).await,
            Self::Outbox(command) => command.carry_out().await,
            Self::Relay(command) => command.carry_out().await,
        }
    }
}
