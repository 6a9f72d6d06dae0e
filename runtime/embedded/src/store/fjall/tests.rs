use super::*;
use crate::store::engine::Engine as _;

/// How long fjall's own threads may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

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
