//! Stores: ordered maps of bytes, in memory or on disk.
//!
//! [`open`] gives one over sled or fjall. What both have in common is `checked.rs`: it proves at every start that nothing is
//! missing that was synced, and answers nothing any more after a write that failed. What is special about a library, and what
//! was found out about it, stands at the head of `sled.rs` and `fjall.rs`.

mod checked;
mod engine;
mod fjall;
mod mark;
mod memory;
mod sled;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Change, Store};

const KIB: usize = 1024;

/// Bytes of a chunk of the log that a store in memory takes best.
pub const MEMORY_CHUNK_BYTES: usize = 64 * KIB;

/// The longest key that a store takes, in bytes. sled bounds it: an inner node of its tree holds some hundreds of them.
pub const KEY_LIMIT: usize = 4 * KIB;

/// The longest value that a store takes, in bytes: fjall writes a length into four of them.
pub const VALUE_LIMIT: usize = 1024 * 1024 * KIB;

/// The library under a store on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// sled: a tree whose nodes are written as a log. The default.
    Sled,
    /// fjall: a log-structured merge tree. Faster, in less memory and less disk.
    Fjall,
}

impl StoreKind {
    /// Every store there is.
    pub const ALL: [Self; 2] = [Self::Sled, Self::Fjall];

    /// Its name, as in the configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Fjall => "fjall",
        }
    }

    /// Bytes of a chunk of the log that this store takes best, by measurement (docs/EMBEDDED.md).
    pub const fn chunk_bytes(self) -> usize {
        match self {
            Self::Sled => 8 * KIB,
            Self::Fjall => 64 * KIB,
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for StoreKind {
    type Err = Coded;

    fn from_str(name: &str) -> Result<Self, Coded> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Coded::new(Code::BAD_VALUE, format!("there is no store {name:?}; there are: {names}"))
        })
    }
}

/// Opens the store in a directory of its own, or makes one where the directory is empty or missing.
///
/// `cache_bytes` bounds what is kept in memory of what was read. What has been written and not yet sorted comes on top:
/// at most 64 MiB with fjall, a few nodes with sled.
///
/// # Errors
///
/// [`Code::DIRECTORY_IN_USE`] when another store holds the directory, in this process or another one; [`Code::DAMAGED`]
/// when files are damaged or missing (nothing is repaired, and an unfinished write at the end is no damage);
/// [`Code::WRITE_FAILED`] when the directory cannot be written.
pub fn open(kind: StoreKind, directory: &Path, cache_bytes: usize) -> Result<Arc<dyn Store>, Coded> {
    let cache = cache_bytes as u64;
    Ok(match kind {
        StoreKind::Sled => Arc::new(checked::open(kind, directory, || sled::Engine::open(directory, cache))?),
        StoreKind::Fjall => Arc::new(checked::open(kind, directory, || fjall::Engine::open(directory, cache))?),
    })
}

/// An empty store in memory. It is gone when it is dropped.
pub fn memory() -> Arc<dyn Store> {
    Arc::new(memory::Memory::default())
}

/// Refuses what one of the stores could not keep. Nothing of the batch is applied then, and the store goes on.
fn within_limits(changes: &[Change]) -> Result<(), Coded> {
    for Change { key, value } in changes {
        let length = value.as_ref().map_or(0, bytes::Bytes::len);
        let (what, has, limit) = if key.len() > KEY_LIMIT {
            ("key", key.len(), KEY_LIMIT)
        } else if length > VALUE_LIMIT {
            ("value", length, VALUE_LIMIT)
        } else {
            continue;
        };
        let message = format!("a {what} of {has} bytes is longer than the {limit} that a store takes");
        return Err(Coded::new(Code::WRITE_FAILED, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
