//! The report on lines that could not be read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tidemill::code::{Code, Coded};

/// How many are kept for those who ask for no report.
const KEPT: usize = 5;

/// One line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The line's number in the file as an editor counts, the header included.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Writes the report as a CSV with the columns `line` and `reason`, if one is wanted, and keeps the first few.
pub(crate) struct Rejects {
    report: Option<(PathBuf, BufWriter<File>)>,
    pub(crate) count: u64,
    pub(crate) first: Vec<Rejected>,
}

impl Rejects {
    /// Makes the report's file, or replaces it.
    pub(crate) fn open(report: Option<&Path>) -> Result<Self, Coded> {
        let report = report.map(|path| {
            let made = File::create(path).and_then(|file| {
                let mut file = BufWriter::new(file);
                writeln!(file, "line,reason").map(|()| file)
            });
            made.map(|file| (path.to_owned(), file)).map_err(|error| unwritable(path, &error))
        });
        Ok(Self { report: report.transpose()?, count: 0, first: Vec::new() })
    }

    /// Takes note of a line.
    pub(crate) fn add(&mut self, line: u64, reason: &str) -> Result<(), Coded> {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(Rejected { line, reason: reason.to_owned() });
        }
        let Some((path, file)) = &mut self.report else { return Ok(()) };
        writeln!(file, "{line},\"{}\"", reason.replace('"', "\"\"")).map_err(|error| unwritable(path, &error))
    }

    /// Writes out what is left.
    pub(crate) fn finish(&mut self) -> Result<(), Coded> {
        let Some((path, file)) = &mut self.report else { return Ok(()) };
        file.flush().map_err(|error| unwritable(path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Coded {
    Coded::new(Code::REPORT_NOT_WRITTEN, format!("rejects report {} cannot be written: {error}", path.display()))
}
