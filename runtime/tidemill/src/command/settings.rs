//! `config show`: every key, its value, where the value comes from, and what it does.

use std::borrow::Cow;

use clap::Subcommand;
use serde::Serialize;
use tidemill_core::code::{Coded, Exit};

use crate::command::{Options, Output, print, print_json, table};
use crate::config::{Configuration, Entry};

/// The body of `config`: looks at the configuration.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Show every key with its value and where the value comes from.
    Show(Asked),
}

/// Options of `config show`.
#[derive(Debug, clap::Args)]
pub struct Asked {
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    options: Options,
}

impl Config {
    /// Does what is asked for.
    pub fn carry_out(self) -> Result<Exit, Coded> {
        let Self::Show(Asked { output, options }) = self;
        show(&Configuration::load(&options)?, output)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    value: Cow<'a, str>,
    origin: String,
    meaning: &'a str,
}

fn show(configuration: &Configuration, output: Output) -> Result<Exit, Coded> {
    let lines = configuration.entries().map(|entry| {
        let Entry { key, value, origin, meaning } = entry;
        Line { key, value, origin: origin.to_string(), meaning }
    });
    match output {
        Output::Json => print_json(&lines.collect::<Vec<_>>())?,
        Output::Table => {
            let row =
                |line: Line<'_>| [line.key.to_owned(), line.value.into_owned(), line.origin, line.meaning.to_owned()];
            print(table::lay_out(["key", "value", "origin", "meaning"], &lines.map(row).collect::<Vec<_>>()))?;
        }
    }
    Ok(Exit::Done)
}
