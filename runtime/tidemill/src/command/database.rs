//! `database`: the runtime's own tables.

use clap::Subcommand;
use serde::Serialize;
use tidemill_core::code::{Coded, Exit};
use tidemill_postgres::{Settings, Version, check, migrate};

use crate::command::{Options, Output, print, print_json, table};
use crate::config::Configuration;
use crate::host::database;

/// The body of `database`: makes the runtime's tables in the database that `state` names, and checks them.
#[derive(Debug, Subcommand)]
pub enum Database {
    /// Make the tables, or bring them to the version of this program.
    Migrate(Asked),
    /// Check that the tables have the version of this program, and that the database takes writes.
    Check(Asked),
}

/// Options of both.
#[derive(Debug, clap::Args)]
pub struct Asked {
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    options: Options,
}

#[derive(Serialize)]
struct Line {
    database: String,
    schema: String,
    /// The version that was found; 0 where there were no tables.
    found: usize,
    /// The version that is there now.
    version: usize,
}

impl Database {
    /// Does what is asked for.
    pub async fn carry_out(self) -> Result<Exit, Coded> {
        match self {
            Self::Migrate(Asked { output, options }) => {
                let settings = database(&Configuration::load(&options)?)?;
                let version = migrate(&settings).await?;
                show(&settings, version, output)
            }
            Self::Check(Asked { output, options }) => {
                let settings = database(&Configuration::load(&options)?)?;
                let version = check(&settings).await?;
                show(&settings, version, output)
            }
        }
    }
}

fn show(settings: &Settings, version: Version, output: Output) -> Result<Exit, Coded> {
    let line = Line {
        database: settings.address(),
        schema: settings.schema().to_owned(),
        found: version.found,
        version: version.wanted,
    };
    match output {
        Output::Json => print_json(&line)?,
        Output::Table => {
            let row = [line.database, line.schema, line.found.to_string(), line.version.to_string()];
            print(table::lay_out(["database", "schema", "found", "version"], &[row]))?;
        }
    }
    Ok(Exit::Done)
}
