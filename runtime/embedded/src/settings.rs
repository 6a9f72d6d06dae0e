//! What can be chosen about an embedded log.

use std::time::Duration;

use crate::store::StoreKind;

/// How the log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The store that a directory is made with.
    pub store: StoreKind,
    /// When commits have to reach the disk.
    pub sync: Sync,
    /// What of each partition is kept.
    pub retention: Retention,
    /// How long a member may take to give revoked partitions up.
    pub drain: Duration,
    /// Bytes of memory that the store may use for what it has read.
    pub store_cache: usize,
}

impl Default for Settings {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            store: StoreKind::Sled,
            sync: Sync::Commit,
            retention: Retention::default(),
            drain: Duration::from_secs(10),
            store_cache: 16 * MIB,
        }
    }
}

/// When commits have to reach the disk. Whatever is chosen, a crash of the process loses no commit that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Before each is answered: a crash of the machine loses none.
    Commit,
    /// At least this often: a crash of the machine loses the newest commits, no older than this, each one whole.
    Interval(Duration),
    /// When the operating system likes.
    Never,
}

/// What of each partition is kept: what is older, or more, is deleted from its old end, by chunks. The newest chunk of a
/// partition always stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// How long after it was appended a record is kept; for ever unless set. The time of its event does not count.
    pub age: Option<Duration>,
    /// How many bytes of a partition are kept; all unless set.
    pub bytes: Option<u64>,
}
