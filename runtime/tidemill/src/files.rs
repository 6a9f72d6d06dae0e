//! What is said of files.

use std::io;
use std::path::Path;

use tidemill_core::code::{Code, Coded};

/// A file that cannot be written (TM-0203).
pub(crate) fn not_written(path: &Path, error: &io::Error) -> Coded {
    Coded::new(Code::REPORT_NOT_WRITTEN, format!("{} cannot be written: {error}", path.display()))
}
