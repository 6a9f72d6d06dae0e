//! Locked files: one process holds a directory, and one store its own.

use std::fs::{File, TryLockError};
use std::thread;
use std::time::Duration;

/// How often, and how many times, a lock is tried that another one holds: for one second.
pub(crate) const LOCK_EVERY: Duration = Duration::from_millis(20);
pub(crate) const LOCK_TRIES: u32 = 50;

/// Locks a file for as long as it is open. A lock that was just let go may still be held for a moment: by a process that is
/// ending, or by a child between its start and its program.
pub(crate) fn hold(file: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::park_timeout(LOCK_EVERY),
            locked => return locked,
        }
    }
    file.try_lock()
}

#[cfg(test)]
mod tests;
