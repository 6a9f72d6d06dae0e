//! `config show`: every key, its value, where the value comes from, and what it does.

use std::borrow::Cow;

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};

use crate::command::{Output, print, print_json, table};
use crate::config::{Configuration, Entry};

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    value: Cow<'a, str>,
    origin: String,
    meaning: &'a str,
}

pub(super) fn show(configuration: &Configuration, output: Output) -> Result<Exit, Coded> {
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
