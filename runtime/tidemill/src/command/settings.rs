//! `config show`: every key, its value, and where the value comes from.

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};

use crate::command::{Output, print, print_json, table};
use crate::config::Configuration;

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    value: &'a str,
    origin: String,
}

pub(super) fn show(configuration: &Configuration, output: Output) -> Result<Exit, Coded> {
    let lines = configuration.iter().map(|(key, value, origin)| Line { key, value, origin: origin.to_string() });
    match output {
        Output::Json => print_json(&lines.collect::<Vec<_>>())?,
        Output::Table => {
            let rows: Vec<_> = lines.map(|line| [line.key.to_owned(), line.value.to_owned(), line.origin]).collect();
            print(table::lay_out(["key", "value", "origin"], &rows))?;
        }
    }
    Ok(Exit::Done)
}
