//! What the stores reach on this machine: batches as the log and the state write them.
//!
//! `cargo bench -p tidemill-embedded --bench stores [-- STORE SYNC EVENTS BATCH CHUNK_BYTES]`. An event is a log record of 250
//! bytes in a chunk, and one state entry of 60 bytes under one of 300,000 keys; each batch also sets eight small progress
//! values. Prints events/s, bytes/s, the times of batches, and the most memory that the process had.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures by the wall clock")]
#![expect(clippy::cast_precision_loss, reason = "figures to read")]

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidemill_core::ports::{Change, Durability, KeyRange, Store};
use tidemill_embedded::store::{self, StoreKind};

const RECORD_BYTES: usize = 250;
const STATE_BYTES: usize = 60;
const KEYS: u64 = 300_000;
const PARTITIONS: u8 = 8;
const CACHE_BYTES: usize = 64 * 1024 * 1024;

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize| given.get(at).map(|text| text.parse().expect("a number"));
    if let Some(kind) = given.first() {
        let kind: StoreKind = kind.parse().expect("sled or fjall");
        let durability =
            if given.get(1).is_some_and(|word| word == "synced") { Durability::Synced } else { Durability::Buffered };
        let chunk = number(4).map_or(kind.chunk_bytes(), |bytes: u64| usize::try_from(bytes).expect("it fits"));
        return run(kind, durability, number(2).unwrap_or(1_000_000), number(3).unwrap_or(2_000), chunk);
    }
    for kind in StoreKind::ALL {
        for durability in [Durability::Synced, Durability::Buffered] {
            for batch in [200, 2_000, 10_000] {
                run(kind, durability, 500_000, batch, kind.chunk_bytes());
            }
        }
    }
}

/// Work that is the same in every run.
struct Work {
    state: u64,
    ends: [u64; PARTITIONS as usize],
    /// Half of it compresses, as records do.
    bytes: Bytes,
}

impl Work {
    fn new() -> Self {
        let mut work = Self { state: 0x9E37_79B9_7F4A_7C15, ends: Default::default(), bytes: Bytes::new() };
        let byte = |work: &mut Self, at: u8| if at % 64 < 32 { work.next().to_be_bytes()[3] } else { at };
        work.bytes = (0..1024 * 1024_u32).map(|at| byte(&mut work, at.to_be_bytes()[3])).collect::<Vec<_>>().into();
        work
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn some(&mut self, length: usize) -> Bytes {
        let from = usize::try_from(self.next()).expect("64 bits") % (self.bytes.len() - length);
        self.bytes.slice(from..from + length)
    }

    fn state_key(&mut self) -> Bytes {
        let key = (self.next() % KEYS).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        [b"s\x06orders\0\0\0\0orders\0", &key.to_be_bytes()[..]].concat().into()
    }

    fn batch(&mut self, events: u64, chunk: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        for partition in 0..PARTITIONS {
            let mut left = usize::try_from(events).expect("it fits") / usize::from(PARTITIONS) * RECORD_BYTES;
            while left > 0 {
                let length = left.min(chunk);
                left -= length;
                let end = &mut self.ends[usize::from(partition)];
                *end += length.div_ceil(RECORD_BYTES) as u64;
                let key = [&[b'l', 0, 0, 0, 0, 0, 0, 0, partition], &end.to_be_bytes()[..]].concat();
                changes.push(Change { key: key.into(), value: Some(self.some(length)) });
            }
            let value = Some(Bytes::copy_from_slice(&self.next().to_be_bytes()));
            changes.push(Change { key: vec![b'p', partition].into(), value });
        }
        for _ in 0..events {
            changes.push(Change { key: self.state_key(), value: Some(self.some(STATE_BYTES)) });
        }
        changes
    }
}

fn run(kind: StoreKind, durability: Durability, events: u64, batch: u64, chunk: usize) {
    let directory = tempfile::tempdir().expect("a directory for the time being");
    let store = store::open(kind, directory.path(), CACHE_BYTES).expect("an empty directory opens");
    let mut work = Work::new();
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..events / batch {
        let changes = work.batch(batch, chunk);
        bytes += changes.iter().filter_map(|change| change.value.as_ref()).map(Bytes::len).sum::<usize>();
        let start = Instant::now();
        store.apply(changes, durability).expect("the disk has room");
        times.push(start.elapsed());
    }
    let (total, most) = (times.iter().sum::<Duration>().as_secs_f64(), most_memory());
    times.sort();
    let at = |part: usize| times[times.len() * part / 1000];
    let reach = if durability == Durability::Synced { "synced" } else { "buffered" };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{kind:5} {reach:8} batch {batch:5} chunk {chunk:6}: {:7.0} events/s {:5.1} MB/s, batch p50 {:6.2?} p99 {:6.2?}, \
         {most} MiB, {} MiB on disk",
        events as f64 / total,
        bytes as f64 / total / 1e6,
        at(500),
        at(990),
        size(directory.path()) >> 20,
    )
    .expect("somebody reads this");
    read(&*store, &mut work, &mut out);
}

fn read(store: &dyn Store, work: &mut Work, out: &mut impl std::io::Write) {
    const READS: u32 = 50_000;
    let start = Instant::now();
    for _ in 0..READS {
        store.get(&work.state_key()).expect("it reads");
    }
    let gets = f64::from(READS) / start.elapsed().as_secs_f64();
    let (start, mut bytes) = (Instant::now(), 0);
    let mut range = KeyRange::prefix(Bytes::from_static(b"l"));
    loop {
        let page = store.scan(&range, 16).expect("it scans");
        let Some((last, _)) = page.last() else { break };
        range.start = std::ops::Bound::Excluded(last.clone());
        bytes += page.iter().map(|(_, value)| value.len()).sum::<usize>();
    }
    let scan = bytes as f64 / start.elapsed().as_secs_f64() / 1e6;
    writeln!(out, "      reads: {gets:.0} gets/s, {scan:.0} MB/s of log, {} MiB", most_memory())
        .expect("somebody reads this");
}

/// The most memory that this process had, in MiB; 0 where the system does not say.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

/// Bytes on disk below a folder.
fn size(folder: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(folder).expect("the store's folder");
    entries
        .map(|entry| {
            let path = entry.expect("the store's folder").path();
            if path.is_dir() { size(&path) } else { path.metadata().map_or(0, |data| data.blocks() * 512) }
        })
        .sum()
}
