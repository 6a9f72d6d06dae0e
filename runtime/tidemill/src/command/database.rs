//! `database`: the runtime's own tables.

use clap::Subcommand;
use serde::Serialize;
use tidemill_core::code::{Coded, Exit};
use tidemill_postgres::{Settings, Tables, Version, check, migrate};

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
    /// Does what is asked for, with the runtime's tables and the program's own.
    pub(super) async fn carry_out(self, own: &[Tables<'_>]) -> Result<Exit, Coded> {
        let (migrates, Asked { output, options }) = match self {
            Self::Migrate(asked) => (true, asked),
            Self::Check(asked) => (false, asked),
        };
        let settings = database(&Configuration::load(&options)?)?;
        let version = if migrates { migrate(&settings).await? } else { check(&settings).await? };
        let mut lines = vec![Line::of(&settings, settings.schema(), version)];
        for tables in own {
            let version = if migrates { tables.migrate(&settings).await? } else { tables.check(&settings).await? };
            lines.push(Line::of(&settings, tables.schema, version));
        }
        show(lines, output)
    }
}

impl Line {
    fn of(settings: &Settings, schema: &str, Version { found, wanted }: Version) -> Self {
        Self { database: settings.address(), schema: schema.to_owned(), found, version: wanted }
    }
}

/// One object where the runtime's tables are all there are, else a list of them.
fn show(lines: Vec<Line>, output: Output) -> Result<Exit, Coded> {
    match output {
        Output::Json if lines.len() == 1 => print_json(&lines[0])?,
        Output::Json => print_json(&lines)?,
        Output::Table => {
            let row = |line: Line| [line.database, line.schema, line.found.to_string(), line.version.to_string()];
            let rows: Vec<_> = lines.into_iter().map(row).collect();
            print(table::lay_out(["database", "schema", "found", "version"], &rows))?;
        }
    }
    Ok(Exit::Done)
}
