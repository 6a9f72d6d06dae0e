//! The stores: memory, sled, fjall.

mod batches;
mod crash;
mod damage;

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tidemill_core::ports::Store;
use tidemill_embedded::store::{self, StoreKind};
use tidemill_testkit::conformance::{self, Place};

/// Bytes that a store in these tests may keep of what it read: little, so that it reads from disk.
const CACHE_BYTES: usize = 1024 * 1024;

fn open(kind: StoreKind, directory: &Path) -> Arc<dyn Store> {
    store::open(kind, directory, CACHE_BYTES).unwrap()
}

/// Gone when it is dropped.
struct Memory;

impl Place for Memory {
    fn open(&self) -> Arc<dyn Store> {
        store::memory()
    }

    fn keeps(&self) -> bool {
        false
    }
}

struct Disk {
    kind: StoreKind,
    directory: TempDir,
}

impl Place for Disk {
    fn open(&self) -> Arc<dyn Store> {
        open(self.kind, self.directory.path())
    }

    fn keeps(&self) -> bool {
        true
    }
}

fn disk(kind: StoreKind) -> Box<dyn Place> {
    Box::new(Disk { kind, directory: tempfile::tempdir().unwrap() })
}

#[test]
fn memory_keeps_the_contract() {
    conformance::store(|| Box::new(Memory));
}

#[test]
fn sled_keeps_the_contract() {
    conformance::store(|| disk(StoreKind::Sled));
}

#[test]
fn fjall_keeps_the_contract() {
    conformance::store(|| disk(StoreKind::Fjall));
}
