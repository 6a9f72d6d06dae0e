use ::fjall::AbstractTree as _;

use super::*;
use crate::store::engine::Engine as _;

/// How long fjall's own threads may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long nothing may change until one who writes counts as waiting.
const QUIET: Duration = Duration::from_secs(1);

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn tables_in_memory_and_journals_on_disk_stay_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let store = Engine::open(directory.path(), MIB).unwrap();
    let value = noise(4_000_000, 1);
    for n in 0..120_u8 {
        let change = |key: u8, value: &[u8]| Change { key: vec![1, key, n].into(), value: Some(value.to_vec().into()) };
        store.apply(vec![change(b'l', &value), change(b's', b"small")]).unwrap();
        assert!(store.entries.sealed_memtable_count() <= TABLES_WAITING);
    }
    let written = 120 * 4_000_000;
    // fjall's own threads remove journals, when they come to it.
    let removed = || store.database.journal_disk_space().unwrap() < JOURNAL_BYTES + 10 * MEMTABLE_BYTES;
    let came = (0..PATIENCE.as_millis() / LOOK_EVERY.as_millis()).any(|_| {
        thread::park_timeout(LOOK_EVERY);
        removed()
    });
    assert!(came, "journals are removed");
    assert!(store.database.disk_space().unwrap() < written * 3 / 2);
    assert!(store.get(&[1, b'l', 119]).unwrap().unwrap() == value);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a writer that waits, and one who looks at it")]
fn what_is_written_waits_while_no_table_comes_to_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = Engine::open(directory.path(), MIB).unwrap();
    let value = noise(1_000_000, 1);
    let change = |n: u8| Change { key: vec![1, n].into(), value: Some(value.clone().into()) };
    thread::scope(|scope| {
        // As on a disk that takes its time: a table is written out under this lock.
        let slow = store.entries.tree.get_flush_lock();
        scope.spawn(|| (0..200).for_each(|n| store.apply(vec![change(n)]).unwrap()));
        let mut bytes = 0;
        loop {
            thread::park_timeout(QUIET);
            let now = store.database.write_buffer_size();
            if now == bytes {
                break;
            }
            bytes = now;
        }
        assert!((TABLES_BYTES..TABLES_BYTES + 2 * MIB).contains(&bytes), "{bytes} bytes in memory");
        drop(slow);
    });
    assert!(store.get(&[1, 199]).unwrap().unwrap() == value);
}
