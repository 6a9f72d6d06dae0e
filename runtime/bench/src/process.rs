//! What this process has used, as Linux tells it in `/proc/self`. Elsewhere nothing is told.

use std::fs;
use std::time::Duration;

/// How long one tick of `/proc/self/stat` is: the kernel tells programs of hundredths of a second, whatever it counts in itself.
const TICK: Duration = Duration::from_millis(10);

/// The time that all threads, those that ended included, were on a processor.
pub(crate) fn cpu() -> Option<Duration> {
    ticks(&fs::read_to_string("/proc/self/stat").ok()?).map(|ticks| TICK * ticks)
}

/// The most memory that the process had since [`forget_peak`], in bytes.
pub(crate) fn peak_bytes() -> Option<u64> {
    peak(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Makes the memory that the process has at the moment the most that it had.
pub(crate) fn forget_peak() {
    if let Err(error) = fs::write("/proc/self/clear_refs", "5") {
        tracing::warn!("peak_rss_mb covers the whole process, publishing included: its peak cannot be reset: {error}");
    }
}

/// Ticks in user and in system mode.
fn ticks(stat: &str) -> Option<u32> {
    // The second field is the program's name in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    ticks()?.checked_add(ticks()?)
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests;
