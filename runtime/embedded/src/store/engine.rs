//! What a library under a store has to do, and how it says that it could not.

use std::io;
use std::ops::Bound;

use bytes::Bytes;
use tidemill_core::ports::{Change, Entry};

/// From where to where: a range that is not inverted.
pub(super) type Span<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Values up to this many bytes are copied out of what the library read; larger ones share it.
const COPIED_BYTES: usize = 256;

/// An ordered map on disk. One thread writes at a time.
pub(super) trait Engine: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Failure>;

    /// The first `limit` entries of a span, as they were at one moment.
    fn scan(&self, span: Span<'_>, limit: usize) -> Result<Vec<Entry>, Failure>;

    /// The last entry of a span.
    fn last(&self, span: Span<'_>) -> Result<Option<Entry>, Failure>;

    /// Applies all changes at once and hands them to the operating system. No key comes twice; they are sorted.
    fn apply(&self, changes: Vec<Change>) -> Result<(), Failure>;

    /// Brings everything that was applied to the disk, with `fsync`.
    fn sync(&self) -> Result<(), Failure>;
}

/// Why a library could not do it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another one holds the files.
    InUse,
    /// The files do not hold what was once written.
    Damaged(String),
    /// The operating system refused, or the library gave up.
    Refused(String),
}

/// What an error of the operating system says about the files of a store.
pub(super) fn io_failure(error: &io::Error) -> Failure {
    match error.kind() {
        // A library looked for a file, or a place in one, that has to be there; or found one that it was about to make.
        io::ErrorKind::NotFound
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidData => Failure::Damaged(error.to_string()),
        _ => Failure::Refused(error.to_string()),
    }
}

/// The bytes of a key or a value that a library read.
pub(super) fn bytes<T: AsRef<[u8]> + Send + 'static>(read: T) -> Bytes {
    if read.as_ref().len() <= COPIED_BYTES { Bytes::copy_from_slice(read.as_ref()) } else { Bytes::from_owner(read) }
}
