//! The store over sled 0.34. Only this module names it.
//!
//! What its source says, and what follows from it here:
//!
//! * **A batch stays in sled's own memory** until its buffer is full or `flush` is called (`pagecache/iobuf.rs`), and a
//!   killed process loses it. So every batch is flushed before it is answered, also a buffered one.
//! * **`flush` is not an `fsync`.** It writes and calls `sync_file_range`, which neither brings the file's length to the disk
//!   nor empties the disk's own cache (`IoBufs::write_to_log`). A sync here flushes and then calls `fsync` on the log through
//!   a handle of our own.
//! * **Large nodes become files of their own** ("blobs"), which are never synced (`pagecache/blob_io.rs`), and one that is
//!   missing after a crash is skipped in silence (`pagecache/iterator.rs`): a part of a batch would be lost. A node may have
//!   a quarter of a segment; a leaf splits above 16 entries, an inner node above 256 keys (`node.rs`). So values above
//!   [`PART_BYTES`] are kept in parts (`parts.rs`), keys are bounded, and a segment is large enough for a node of the largest
//!   of them: none ever becomes a blob.
//! * **A failed write may leave `flush` waiting for ever**: `Log::exit_reservation` keeps the error and wakes nobody. So the
//!   flush runs in sled's own threads, and the one who waits looks at the error from time to time.
//! * **What a batch replaces is not freed while it runs**, and afterwards slower than new garbage comes: resident memory
//!   grew by 600 bytes for each change in batches of 2,000. So it is collected after each batch, through the same
//!   `crossbeam-epoch` that sled uses.
//! * **The cache lets nodes go late**: each of its 256 parts looks at its bound once in 64 reads of a node (`lru.rs`). A scan
//!   reads each node once or twice, so a long one filled several hundred MiB with nodes of log chunks. A scan therefore
//!   reads large entries a few more times, which costs little, as they are in memory.
//! * **Readers wait while a batch is applied**, for all of sled in this process (`concurrency_control.rs`), but a scan takes
//!   that lock anew for each entry. A lock of ours lets a scan see a batch whole or not at all.
//! * The file lock may be held for a moment after the last handle is dropped, by a thread that still writes. Opening waits
//!   for it.

mod parts;

use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use ::sled::{Batch, Config, Db, Error, IVec, Mode};
use bytes::Bytes;
use tidemill_core::ports::{Change, Entry};

use self::parts::{Head, PART_BYTES};
use super::engine::{self, Failure, Span, bytes, io_failure};
use crate::lock::{LOCK_EVERY, LOCK_TRIES};

/// Bytes of a segment of sled's log. Part of the format: a directory cannot be opened with another one.
const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
/// The smallest cache that makes sense: sled divides it into 256 parts.
const CACHE_BYTES_MIN: u64 = 1024 * 1024;
/// Garbage is collected once for this many changes; sled leaves up to three pieces for each, and a turn takes 512.
const CHANGES_PER_COLLECTION: usize = 128;
/// Bytes of an entry from which on a node is large.
const LARGE_BYTES: usize = 1024;
/// A leaf has some 10 entries; with these it is seen about 40 times, and after 64 times one of 256 parts of the cache is tidied.
const READS_PER_LARGE_ENTRY: usize = 4;
/// How often the one who waits for a flush looks whether sled has given up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An open tree.
pub(super) struct Engine {
    db: Db,
    /// sled's log once more, to call `fsync` on.
    log: File,
    /// Held by readers, and by the one who writes while a batch becomes visible.
    visible: RwLock<()>,
    /// Whether there may be values in parts.
    has_parts: AtomicBool,
}

impl Engine {
    pub(super) fn open(directory: &Path, cache_bytes: u64) -> Result<Self, Failure> {
        let config = Config::new()
            .path(directory)
            .cache_capacity(cache_bytes.max(CACHE_BYTES_MIN))
            .segment_size(SEGMENT_BYTES)
            .mode(Mode::HighThroughput)
            .flush_every_ms(None);
        let mut tries = 0;
        let db = loop {
            match config.open() {
                Err(error) if is_locked(&error) => {
                    tries += 1;
                    if tries == LOCK_TRIES {
                        return Err(Failure::InUse);
                    }
                    thread::park_timeout(LOCK_EVERY);
                }
                opened => break opened.map_err(failure)?,
            }
        };
        let synced = |file: File| file.sync_all().map(|()| file);
        let log = File::open(directory.join("db")).and_then(synced);
        let log = log.map_err(|error| io_failure(&error))?;
        for made in [directory.join("conf"), directory.join("blobs"), directory.to_owned()] {
            File::open(made).and_then(synced).map_err(|error| io_failure(&error))?;
        }
        let has_parts = db.range(parts::all()).next().transpose().map_err(failure)?.is_some();
        Ok(Self { db, log, visible: RwLock::new(()), has_parts: AtomicBool::new(has_parts) })
    }

    fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.visible.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value that a stored one stands for.
    fn value_of(&self, key: &[u8], stored: IVec) -> Result<Bytes, Failure> {
        match parts::head(&stored)? {
            Head::Whole => Ok(bytes(stored).slice(1..)),
            Head::Parts { length } => {
                let mut value = Vec::with_capacity(length);
                for part in parts::keys(key, length) {
                    let part = self.db.get(part).map_err(failure)?;
                    let part = part.ok_or_else(|| Failure::Damaged("a part of a value is missing".to_owned()))?;
                    value.extend_from_slice(&part);
                }
                Ok(value.into())
            }
        }
    }

    fn entry(&self, (key, stored): (IVec, IVec)) -> Result<Entry, Failure> {
        let value = self.value_of(&key, stored)?;
        Ok((bytes(key), value))
    }

    /// What a key's value left in parts goes with it.
    fn remove_parts(&self, key: &[u8], batch: &mut Batch) -> Result<(), Failure> {
        if !self.has_parts.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(stored) = self.db.get(key).map_err(failure)? else { return Ok(()) };
        if let Head::Parts { length } = parts::head(&stored)? {
            parts::keys(key, length).for_each(|part| batch.remove(part));
        }
        Ok(())
    }

    /// Lets sled see that large nodes were read, so that it lets others go.
    fn count_reads(&self, entries: &[Entry]) -> Result<(), Failure> {
        for (key, _) in entries.iter().filter(|(_, value)| value.len() >= LARGE_BYTES) {
            for _ in 0..READS_PER_LARGE_ENTRY {
                self.db.get(key).map_err(failure)?;
            }
        }
        Ok(())
    }

    /// Writes what sled still has in its own memory.
    fn flush(&self) -> Result<(), Failure> {
        let mut flushed = pin!(self.db.flush_async());
        let waker = Waker::from(Arc::new(Waiting(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(answer) = flushed.as_mut().poll(&mut context) {
                return answer.map(drop).map_err(failure);
            }
            thread::park_timeout(LOOK_EVERY);
            if let Err(error) = self.db.context.global_error() {
                // Answers at once now, and wakes the one that waits in sled.
                let _ = self.db.flush();
                return Err(failure(error));
            }
        }
    }
}

impl engine::Engine for Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Failure> {
        let _reading = self.reading();
        let stored = self.db.get(key).map_err(failure)?;
        stored.map(|stored| self.value_of(key, stored)).transpose()
    }

    fn scan(&self, span: Span<'_>, limit: usize) -> Result<Vec<Entry>, Failure> {
        let reading = self.reading();
        let found = self.db.range::<&[u8], _>(span).take(limit);
        let entries: Result<Vec<_>, _> = found.map(|found| self.entry(found.map_err(failure)?)).collect();
        if let Ok(entries) = &entries {
            self.count_reads(entries)?;
        }
        drop(reading);
        collect_garbage(entries.as_ref().map_or(0, Vec::len));
        entries
    }

    fn last(&self, span: Span<'_>) -> Result<Option<Entry>, Failure> {
        let _reading = self.reading();
        let found = self.db.range::<&[u8], _>(span).next_back();
        found.map(|found| self.entry(found.map_err(failure)?)).transpose()
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), Failure> {
        let mut batch = Batch::default();
        let count = changes.len();
        for Change { key, value } in changes {
            self.remove_parts(&key, &mut batch)?;
            match value {
                None => batch.remove(&key[..]),
                Some(value) => {
                    if value.len() > PART_BYTES {
                        self.has_parts.store(true, Ordering::Relaxed);
                    }
                    parts::insert(&mut batch, &key, &value);
                }
            }
        }
        let writing = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        self.db.apply_batch(batch).map_err(failure)?;
        drop(writing);
        collect_garbage(count);
        self.flush()
    }

    fn sync(&self) -> Result<(), Failure> {
        self.flush()?;
        self.log.sync_all().map_err(|error| Failure::Refused(error.to_string()))
    }
}

/// Wakes the thread that waits for a flush.
struct Waiting(Thread);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Frees what this many changes, or entries read, have replaced in sled's memory.
fn collect_garbage(count: usize) {
    for _ in 0..=count / CHANGES_PER_COLLECTION {
        crossbeam_epoch::pin().flush();
    }
}

/// sled has no kind of error for this (`config.rs`).
fn is_locked(error: &Error) -> bool {
    matches!(error, Error::Io(cause) if cause.to_string().starts_with("could not acquire lock"))
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Io(cause) => io_failure(&cause),
        Error::Corruption { .. } | Error::Unsupported(_) => Failure::Damaged(error.to_string()),
        Error::CollectionNotFound(_) | Error::ReportableBug(_) => Failure::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
