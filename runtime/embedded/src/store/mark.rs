//! The mark: how many batches are known to have reached the disk, in a small file beside the library's own.
//!
//! sled and fjall both take a damaged place in their log for the end of it: they cut off what follows, and start (sled:
//! `pagecache/iterator.rs` and `pagecache/snapshot.rs`; fjall: `journal/reader.rs`). A missing file they make anew. So each
//! batch carries its number into the store, and after a sync that number is written here too. A store whose newest batch
//! is older than the mark has lost what was synced. A batch that was never synced may be missing: that is a torn write.
//!
//! The mark is not synced itself. After a crash of the machine it may be an old one, never one that promises too much.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tidemill_core::code::{Code, Coded};

use super::StoreKind;
use crate::lock::hold;

const NAME: &str = "synced";
/// The number, and the same with all bits turned: a half-written mark is recognised.
const LENGTH: usize = 16;

/// The open file; it is locked for as long as it is open, so that one store holds the directory.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
}

impl Mark {
    /// Opens the mark of a directory, or makes one where the directory is empty or missing. Gives the number on it.
    pub(super) fn open(kind: StoreKind, directory: &Path) -> Result<(Self, u64), Coded> {
        let refused = |error: io::Error| {
            Coded::new(Code::WRITE_FAILED, format!("{} cannot be used: {error}", directory.display()))
        };
        fs::create_dir_all(directory).map_err(refused)?;
        let path = directory.join(NAME);
        let others = fs::read_dir(directory).map_err(refused)?.any(|entry| entry.is_ok_and(|e| e.file_name() != NAME));
        let damaged = |what: &str| {
            let place = path.display();
            Coded::new(
                Code::DAMAGED,
                format!("the {kind} store is damaged: {place} {what}; restore the directory from a backup"),
            )
        };
        if others && !path.exists() {
            return Err(damaged("is missing"));
        }
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(refused)?;
        hold(&file).map_err(|refusal| match refusal {
            TryLockError::WouldBlock => in_use(kind, directory),
            TryLockError::Error(error) => refused(error),
        })?;
        let mut written = Vec::with_capacity(LENGTH);
        file.read_to_end(&mut written).map_err(refused)?;
        if !others && written.len() < LENGTH {
            let mark = Self { file };
            mark.record(0).and_then(|()| mark.settle(directory)).map_err(refused)?;
            return Ok((mark, 0));
        }
        let number = number_of(&written).ok_or_else(|| damaged("does not hold a mark"))?;
        Ok((Self { file }, number))
    }

    /// Writes that batches up to this number have reached the disk.
    pub(super) fn record(&self, number: u64) -> io::Result<()> {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes[8..].copy_from_slice(&(!number).to_be_bytes());
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&bytes)
    }

    /// Brings a new mark and its name to the disk.
    fn settle(&self, directory: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        File::open(directory)?.sync_all()?;
        match directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }
}

/// The error of a directory that another store holds.
pub(super) fn in_use(kind: StoreKind, directory: &Path) -> Coded {
    let message = format!("the {kind} store in {} is in use; one process owns a directory", directory.display());
    Coded::new(Code::DIRECTORY_IN_USE, message)
}

fn number_of(written: &[u8]) -> Option<u64> {
    let (number, turned) = <&[u8; LENGTH]>::try_from(written).ok()?.split_at(8);
    let number = u64::from_be_bytes(number.try_into().ok()?);
    (turned == (!number).to_be_bytes()).then_some(number)
}
