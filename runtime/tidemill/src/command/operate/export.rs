//! `dead-letters export`: letters as lines of JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};

use super::book::Entry;
use super::shown::whole;
use crate::command::{Output, print, print_json};
use crate::files::not_written;

#[derive(Serialize)]
struct Done<'a> {
    exported: usize,
    into: &'a Path,
}

/// Writes them, byte for byte. A file that cannot be written is an error (TM-0203).
pub(super) fn write(entries: &[Entry], into: &Path, output: Output) -> Result<Exit, Coded> {
    write_lines(entries, into).map_err(|error| not_written(into, &error))?;
    let done = Done { exported: entries.len(), into };
    match output {
        Output::Json => print_json(&done)?,
        Output::Table => print(format!("{} dead letters written to {}", done.exported, into.display()))?,
    }
    Ok(Exit::Done)
}

fn write_lines(entries: &[Entry], into: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(into)?);
    for entry in entries {
        serde_json::to_writer(&mut file, &whole(entry))?;
        file.write_all(b"\n")?;
    }
    file.into_inner()?.sync_all()
}
