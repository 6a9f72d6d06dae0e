//! Looking at processes from outside.

use std::time::{Duration, Instant};

/// How long anything may take to happen.
const LIMIT: Duration = Duration::from_secs(20);

/// Whether a process is gone, or is only waited for by whoever inherited it.
pub(crate) fn is_gone(process: u32) -> bool {
    // Of a process that has ended, no command line is left.
    std::fs::read(format!("/proc/{process}/cmdline")).map_or(true, |line| line.is_empty())
}

/// Waits, at most as long as anything may take, until something holds.
#[expect(clippy::disallowed_methods, reason = "it waits for a foreign process")]
pub(crate) fn within_the_limit(mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > LIMIT {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}
