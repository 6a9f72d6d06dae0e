//! Inputs: a file, gzipped or not, or lines made up from a seed. Both are read as lines of a CSV, and as often as needed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use flate2::Crc;
use flate2::bufread::MultiGzDecoder;
use tidemill::code::{Code, Coded};

use crate::generator::Generator;
use crate::line::{Columns, Line};
use crate::row::Row;

/// The first bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The mark that some programs put before UTF-8 text.
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// How much is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// No line is longer, in bytes; what comes after belongs to a bad one.
const LINE_BYTES: u64 = 64 * 1024;

/// Where order lines come from. It has to say the same each time it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A CSV, or a gzipped CSV, whatever its name ends in.
    File(PathBuf),
    /// Lines made up from a seed: the same number and seed make the same lines everywhere.
    Generated {
        /// How many lines.
        lines: u64,
        /// The seed.
        seed: u64,
    },
}

impl Input {
    /// What the input is called in events and messages: the file's own name, without its folder.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            Self::Generated { lines, seed } => format!("generated-{lines}-{seed}"),
        }
    }

    /// Begins to read from the start. TM-0201 when the file cannot be read, TM-0202 when it has no usable header.
    pub(crate) fn open(&self) -> Result<Lines, Coded> {
        let source: Box<dyn Read + Send> = match self {
            Self::File(path) => open_file(path).map_err(|error| self.unreadable(&error))?,
            Self::Generated { lines, seed } => Box::new(Generator::new(*lines, *seed)),
        };
        let source = BufReader::with_capacity(READ_BYTES, Counted { source, crc: Crc::new() });
        let mut lines = Lines {
            input: self.clone(),
            source,
            bytes: Vec::new(),
            row: Row::default(),
            columns: None,
            at: 0,
            header_at: 0,
        };
        lines.read_header()?;
        Ok(lines)
    }

    /// The input as messages show it.
    fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Generated { .. } => self.name(),
        }
    }

    pub(crate) fn unreadable(&self, why: &impl std::fmt::Display) -> Coded {
        Coded::new(Code::UNREADABLE_INPUT, format!("input {} cannot be read: {why}", self.shown()))
    }

    pub(crate) fn unusable(&self, why: &str) -> Coded {
        Coded::new(Code::UNUSABLE_INPUT, format!("input {} {why}", self.shown()))
    }
}

/// Opens a file and looks at its first bytes.
fn open_file(path: &std::path::Path) -> io::Result<Box<dyn Read + Send>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        let message = "it is no regular file, and an input is read twice";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut file = BufReader::with_capacity(READ_BYTES, file);
    Ok(if file.fill_buf()?.starts_with(&GZIP_MAGIC) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Counts and sums up what is read through it.
struct Counted {
    source: Box<dyn Read + Send>,
    crc: Crc,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        self.crc.update(&into[..read]);
        Ok(read)
    }
}

/// One line of an input: its number, from 1 without the header, and what it says, or what is wrong with it.
pub(crate) struct Numbered<'a> {
    pub(crate) number: u64,
    /// The line's number in the file, as an editor counts.
    pub(crate) in_file: u64,
    pub(crate) line: Result<Line<'a>, String>,
}

/// The lines of an input, one after the other.
pub(crate) struct Lines {
    input: Input,
    source: BufReader<Counted>,
    bytes: Vec<u8>,
    row: Row,
    columns: Option<Columns>,
    /// The number in the file of the line that was read last, and of the header.
    at: u64,
    header_at: u64,
}

impl Lines {
    /// The next line that is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Numbered<'_>>, Coded> {
        let Some(is_whole) = self.read_line()? else { return Ok(None) };
        let columns = self.columns.as_ref().expect("the header is read when the input is opened");
        let line = match std::str::from_utf8(&self.bytes) {
            _ if !is_whole => Err(format!("longer than {LINE_BYTES} bytes")),
            Err(_) => Err("not UTF-8".to_owned()),
            Ok(text) => match self.row.read(text) {
                Err(reason) => Err(reason.to_owned()),
                Ok(()) => columns.read(&self.row),
            },
        };
        Ok(Some(Numbered { number: self.at - self.header_at, in_file: self.at, line }))
    }

    /// What tells this input's content from any other: a checksum and the number of bytes read so far.
    pub(crate) fn identity(&self) -> String {
        let crc = &self.source.get_ref().crc;
        format!("{:08x}-{}", crc.sum(), crc.amount())
    }

    fn read_header(&mut self) -> Result<(), Coded> {
        let Some(is_whole) = self.read_line()? else { return Err(self.input.unusable("is empty")) };
        self.header_at = self.at;
        let text = std::str::from_utf8(&self.bytes).ok().filter(|_| is_whole);
        let text = text.ok_or_else(|| self.input.unusable("does not begin with a header in UTF-8"))?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let found = self
            .row
            .read(text)
            .map_err(str::to_owned)
            .and_then(|()| Columns::find(&self.row).map_err(|missing| format!("it has no column {missing}")));
        let columns = found.map_err(|why| self.input.unusable(&format!("has no usable header: {why}")))?;
        self.columns = Some(columns);
        Ok(())
    }

    /// Reads the next line that is not blank, without its end. `false`: it is too long, and only its beginning is there.
    fn read_line(&mut self) -> Result<Option<bool>, Coded> {
        loop {
            self.bytes.clear();
            let limited = (&mut self.source).take(LINE_BYTES).read_until(b'\n', &mut self.bytes);
            if limited.map_err(|error| self.input.unreadable(&error))? == 0 {
                return Ok(None);
            }
            self.at += 1;
            let is_whole = self.bytes.last() == Some(&b'\n') || (self.bytes.len() as u64) < LINE_BYTES;
            if !is_whole {
                self.source.skip_until(b'\n').map_err(|error| self.input.unreadable(&error))?;
            }
            while self.bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                self.bytes.pop();
            }
            if !self.bytes.is_empty() {
                return Ok(Some(is_whole));
            }
        }
    }
}

#[cfg(test)]
mod tests;
