//! The store over fjall 3.1. Only this module names it.
//!
//! What its source says, and what follows from it here:
//!
//! * **A batch goes to the journal through a buffer in the process**, and `WriteBatch::commit` hands it to the operating
//!   system when the batch's durability says so (`batch/mod.rs`, `journal/writer.rs`); `Database::batch` asks for it by
//!   default. The batch asks for it by name here. A sync is `fdatasync` of the journal, which also brings the length of the
//!   file to the disk.
//! * **After a failed write it is poisoned**: it takes no more writes, and says so (`poison.rs`). A batch that failed half-way
//!   stays in the buffer and may still be completed when the journal is dropped: it is there after the next start, whole, or
//!   it is not.
//! * **A commit may wait for ever** when the threads that empty its memory have died of a full disk: `local_backpressure`
//!   (`keyspace/mod.rs`) does not look at the poison. So we wait before the commit instead, where we look.
//! * **All changes of a batch have one sequence number** (`batch/mod.rs`), so a key must not come twice; `checked.rs` sees
//!   to that. `Keyspace::get` reads what is not yet published; reads here go through a snapshot.
//! * **A table that is written is not bounded** by `max_memtable_size`: a batch asks fjall's own threads to seal it
//!   (`keyspace/mod.rs`, `request_rotation`), and while both write tables out on a slow disk it grows on. So a batch waits for
//!   that too ([`TABLES_BYTES`]).
//! * **Memory** is the block cache, the tables in memory, once more those which a merge found when it began and holds until
//!   its end (`compaction/worker.rs`), eight bytes for each key of the table that it writes (64 MiB at most), and the filters
//!   of the upper levels.
//! * Values from [`SEPARATED_BYTES`] on lie in files of their own, which compactions do not rewrite; log chunks do. Two
//!   keyspaces, one for the log and one for the rest, were slower (docs/EMBEDDED.md) and hold journals back.

use std::path::Path;
use std::time::Duration;
use std::{fs, io, thread};

use ::fjall::{
    Database, Error, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, LsmError, PersistMode, Readable, Slice,
};
use bytes::Bytes;
use tidemill_core::ports::{Change, Entry};

use super::engine::{self, Failure, Span, bytes, io_failure};

const MIB: u64 = 1024 * 1024;
/// Bytes of a table in memory; when it is full it is written out.
const MEMTABLE_BYTES: u64 = 16 * MIB;
/// Bytes from which on a value is kept apart from its key.
const SEPARATED_BYTES: u32 = 1024;
/// Bytes of journals on disk, over which tables in memory are written out earlier.
const JOURNAL_BYTES: u64 = 128 * MIB;
/// Threads that write tables out and merge them: one for each of the two.
const WORKERS: usize = 2;
/// With this many tables waiting in memory a batch waits. One may be added while it is applied, and at four fjall itself
/// would wait.
const TABLES_WAITING: usize = 3;
/// With this many bytes in tables in memory a batch waits too: fjall seals a table some time after it is full, and meanwhile
/// it goes on growing.
const TABLES_BYTES: u64 = 4 * MEMTABLE_BYTES;
/// With this many unmerged tables on disk a batch waits; at thirty fjall itself would.
const TABLES_UNMERGED: usize = 24;
/// How often the one who waits looks again.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const KEYSPACE: &str = "entries";

/// An open database.
pub(super) struct Engine {
    entries: Keyspace,
    database: Database,
}

impl Engine {
    pub(super) fn open(directory: &Path, cache_bytes: u64) -> Result<Self, Failure> {
        check_versions(directory).map_err(|error| io_failure(&error))?;
        let database = Database::builder(directory)
            .cache_size(cache_bytes)
            .worker_threads(WORKERS)
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(failure)?;
        let options = || {
            let separation = KvSeparationOptions::default().separation_threshold(SEPARATED_BYTES);
            KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES).with_kv_separation(Some(separation))
        };
        let entries = database.keyspace(KEYSPACE, options).map_err(failure)?;
        Ok(Self { entries, database })
    }

    /// Waits until fjall's own threads have caught up, or have given up.
    fn wait_for_room(&self) -> Result<(), Failure> {
        while self.is_behind() {
            // The one call that tells whether it is poisoned and changes nothing.
            self.database.persist(PersistMode::Buffer).map_err(failure)?;
            thread::park_timeout(LOOK_EVERY);
        }
        Ok(())
    }

    /// Whether fjall's own threads have work that a batch has to wait for. Bytes count only beside a table that waits for the
    /// disk: that one will go, but the table that is written is sealed because of a later write.
    fn is_behind(&self) -> bool {
        let waiting = self.entries.sealed_memtable_count();
        waiting >= TABLES_WAITING
            || (waiting > 0 && self.database.write_buffer_size() >= TABLES_BYTES)
            || self.entries.l0_table_count() >= TABLES_UNMERGED
    }
}

impl engine::Engine for Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Failure> {
        let found = self.database.snapshot().get(&self.entries, key).map_err(failure)?;
        Ok(found.map(bytes))
    }

    fn scan(&self, span: Span<'_>, limit: usize) -> Result<Vec<Entry>, Failure> {
        let found = self.database.snapshot().range::<&[u8], _>(&self.entries, span).take(limit);
        found.map(|found| found.into_inner().map(entry).map_err(failure)).collect()
    }

    fn last(&self, span: Span<'_>) -> Result<Option<Entry>, Failure> {
        let found = self.database.snapshot().range::<&[u8], _>(&self.entries, span).next_back();
        found.map(|found| found.into_inner().map(entry).map_err(failure)).transpose()
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), Failure> {
        self.wait_for_room()?;
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        for Change { key, value } in changes {
            match value {
                Some(value) => batch.insert(&self.entries, &key[..], &value[..]),
                None => batch.remove(&self.entries, &key[..]),
            }
        }
        batch.commit().map_err(failure)
    }

    fn sync(&self) -> Result<(), Failure> {
        self.database.persist(PersistMode::SyncData).map_err(failure)
    }
}

/// Each keyspace has a file that names the present version of its tables. Without it fjall begins the keyspace anew and
/// forgets the tables (`lsm-tree`, `tree/mod.rs`), so it has to be there where tables are.
fn check_versions(directory: &Path) -> io::Result<()> {
    let keyspaces = match fs::read_dir(directory.join("keyspaces")) {
        Ok(keyspaces) => keyspaces,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for keyspace in keyspaces {
        let keyspace = keyspace?.path();
        let has_tables = fs::read_dir(keyspace.join("tables")).is_ok_and(|mut tables| tables.next().is_some());
        let current = keyspace.join("current");
        if has_tables && !current.exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} is gone", current.display())));
        }
    }
    Ok(())
}

fn entry((key, value): (Slice, Slice)) -> Entry {
    (bytes(key), bytes(value))
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Io(cause) | Error::Storage(LsmError::Io(cause)) => io_failure(&cause),
        Error::Locked => Failure::InUse,
        Error::Poisoned => Failure::Refused("a write in the background failed, as on a full disk".to_owned()),
        Error::KeyspaceDeleted => Failure::Refused(error.to_string()),
        _ => Failure::Damaged(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
