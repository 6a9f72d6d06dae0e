//! The contract of [`Store`], check by check. Every adapter passes all of them; none knows an adapter.

mod model;
mod ranges;
mod readers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::ports::{Change, Durability, KeyRange, Store};

/// A place for one store: it can be opened, dropped, and opened again. Empty when it is made.
pub trait Place {
    /// Opens the store. Only one is open at a time.
    fn open(&self) -> Arc<dyn Store>;

    /// Whether the place keeps what was written when the store is dropped.
    fn keeps(&self) -> bool;
}

/// A check: its name, and what fails when the contract is broken.
type Check = (&'static str, fn(&dyn Place));

const CHECKS: &[Check] = &[
    ("an empty store holds nothing", holds_nothing),
    ("a later change of a key wins", later_change_wins),
    ("an empty value is a value", empty_value),
    ("a key is any bytes", any_bytes),
    ("keys come in byte order", ranges::byte_order),
    ("a range holds what its bounds say", ranges::bounds),
    ("a prefix holds what begins with it", ranges::prefixes),
    ("a limit bounds a scan", ranges::limits),
    ("a large value comes back as it was", large_values),
    ("a large batch is applied whole", large_batch),
    ("what was read stays as it was", reads_stay),
    ("readers see batches whole and in order", readers::whole_batches),
    ("batches of several writers are whole", readers::several_writers),
    ("what was applied is there after opening again", opened_again),
    ("it does what an ordered map does", model::same_as_a_map),
];

/// Runs every check, each one in a place of its own, and panics with the names of those that failed.
pub fn store(place: impl Fn() -> Box<dyn Place>) {
    let failed: Vec<_> = CHECKS
        .iter()
        .filter(|(_, check)| catch_unwind(AssertUnwindSafe(|| check(&*place()))).is_err())
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "broken contracts: {failed:#?}");
}

fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Change {
    Change { key: Bytes::copy_from_slice(key.as_ref()), value: Some(Bytes::copy_from_slice(value.as_ref())) }
}

fn remove(key: impl AsRef<[u8]>) -> Change {
    Change { key: Bytes::copy_from_slice(key.as_ref()), value: None }
}

fn apply(store: &dyn Store, changes: Vec<Change>) {
    store.apply(changes, Durability::Buffered).expect("a store that works applies");
}

fn get(store: &dyn Store, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    store.get(key.as_ref()).expect("a store that works reads").map(|value| value.to_vec())
}

/// Everything in the store.
fn everything(store: &dyn Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = store.scan(&KeyRange::prefix(Bytes::new()), usize::MAX).expect("a store that works scans");
    entries.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Bytes that do not repeat and do not compress, other ones for each seed.
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

fn holds_nothing(place: &dyn Place) {
    let store = place.open();
    assert_eq!(get(&*store, "a"), None);
    assert_eq!(get(&*store, ""), None);
    assert_eq!(everything(&*store), []);
    assert_eq!(store.last(&KeyRange::prefix(Bytes::new())).expect("it reads"), None);
    apply(&*store, Vec::new());
    apply(&*store, vec![remove("a")]);
    store.sync().expect("it syncs");
    assert_eq!(everything(&*store), []);
}

fn later_change_wins(place: &dyn Place) {
    let store = place.open();
    apply(&*store, vec![put("d", "old"), put("e", "old")]);
    let batch = vec![
        put("a", "1"),
        put("b", "1"),
        remove("c"),
        put("a", "2"),
        remove("b"),
        put("c", "1"),
        put("a", "3"),
        remove("d"),
        put("d", "1"),
        put("e", "1"),
        remove("e"),
    ];
    apply(&*store, batch);
    let expected = [("a", "3"), ("c", "1"), ("d", "1")].map(|(key, value)| (key.into(), value.into()));
    assert_eq!(everything(&*store), expected);
    assert_eq!(get(&*store, "a"), Some(b"3".into()));
    assert_eq!(get(&*store, "e"), None);
    if place.keeps() {
        drop(store);
        assert_eq!(everything(&*place.open()), expected);
    }
}

fn empty_value(place: &dyn Place) {
    let store = place.open();
    apply(&*store, vec![put("a", ""), put("b", "x")]);
    assert_eq!(get(&*store, "a"), Some(Vec::new()));
    apply(&*store, vec![put("b", "")]);
    assert_eq!(everything(&*store), [(b"a".into(), Vec::new()), (b"b".into(), Vec::new())]);
}

fn any_bytes(place: &dyn Place) {
    let store = place.open();
    let mut keys: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0],
        vec![0, 0],
        vec![0, 0xff],
        vec![1],
        vec![2],
        vec![0xfe, 0xff],
        vec![0xff],
        vec![0xff, 0],
        vec![0xff; 40],
        noise(1_000, 1),
    ];
    apply(&*store, keys.iter().map(|key| put(key, key)).collect());
    for key in &keys {
        assert_eq!(get(&*store, key).as_ref(), Some(key));
    }
    keys.sort();
    let in_order: Vec<_> = keys.iter().map(|key| (key.clone(), key.clone())).collect();
    assert_eq!(everything(&*store), in_order);
    apply(&*store, keys.iter().map(remove).collect());
    assert_eq!(everything(&*store), []);
}

fn large_values(place: &dyn Place) {
    let store = place.open();
    let mut expected = vec![(b"a".to_vec(), b"before".to_vec()), (b"z".to_vec(), b"behind".to_vec())];
    apply(&*store, vec![put("a", "before"), put("z", "behind")]);
    // One key goes through all sizes, up and down: what a longer value left behind must not show.
    for (seed, kib) in [(1, 1), (2, 11), (3, 16), (4, 300), (5, 64), (6, 2_000), (7, 13), (8, 700)] {
        let value = noise(kib * 1024 + 7, seed);
        apply(&*store, vec![put("k", &value)]);
        assert_eq!(get(&*store, "k").as_deref(), Some(&value[..]), "{kib} KiB");
        expected.splice(1..expected.len() - 1, [(b"k".to_vec(), value)]);
        assert!(everything(&*store) == expected, "a scan with {kib} KiB");
    }
    let last = store.last(&KeyRange::prefix(Bytes::from_static(b"k"))).expect("it reads");
    assert_eq!(last.map(|(_, value)| value.to_vec()).as_ref(), Some(&expected[1].1));
    let many: Vec<_> = (0..60_u8).map(|n| put([b'm', n], noise(100_000, u64::from(n)))).collect();
    apply(&*store, many);
    apply(&*store, vec![remove("k"), put("k", "small"), put("k2", noise(50_000, 9)), remove("k2")]);
    let store = if place.keeps() {
        drop(store);
        place.open()
    } else {
        store
    };
    assert_eq!(get(&*store, "k"), Some(b"small".into()));
    assert_eq!(get(&*store, "k2"), None);
    for n in 0..60_u8 {
        assert!(get(&*store, [b'm', n]) == Some(noise(100_000, u64::from(n))), "value {n}");
    }
    apply(&*store, everything(&*store).iter().map(|(key, _)| remove(key)).collect());
    assert_eq!(everything(&*store), []);
}

fn large_batch(place: &dyn Place) {
    const CHANGES: u32 = 10_000;
    let store = place.open();
    let key = |n: u32| n.wrapping_mul(0x9E37_79B9).to_be_bytes();
    apply(&*store, (0..CHANGES).map(|n| put(key(n), n.to_string())).collect());
    assert_eq!(everything(&*store).len(), CHANGES as usize);
    for n in (0..CHANGES).step_by(97) {
        assert_eq!(get(&*store, key(n)), Some(n.to_string().into()));
    }
    apply(&*store, (0..CHANGES).filter(|n| n % 3 != 0).map(|n| remove(key(n))).collect());
    let left = everything(&*store);
    assert_eq!(left.len(), CHANGES.div_ceil(3) as usize);
    assert!(left.is_sorted());
}

fn reads_stay(place: &dyn Place) {
    let store = place.open();
    let (small, large) = (noise(20, 1), noise(40_000, 2));
    apply(&*store, vec![put("s", &small), put("l", &large)]);
    let read = store.scan(&KeyRange::prefix(Bytes::new()), 10).expect("it scans");
    for n in 0..200 {
        apply(&*store, vec![put("s", noise(30, n)), put("l", noise(30_000, n))]);
    }
    apply(&*store, vec![remove("s"), remove("l")]);
    drop(store);
    assert!(read == [(Bytes::from_static(b"l"), large.into()), (Bytes::from_static(b"s"), small.into())]);
}

fn opened_again(place: &dyn Place) {
    if !place.keeps() {
        return;
    }
    let mut expected = Vec::new();
    for round in 0..6_u8 {
        let store = place.open();
        assert!(everything(&*store) == expected, "round {round}");
        let durability = if round % 2 == 0 { Durability::Synced } else { Durability::Buffered };
        let batch = vec![
            put([b'k', round], noise(100, u64::from(round))),
            put([b'l', round], noise(70_000, u64::from(round))),
            put([b'o', 0], [round]),
            remove([b'k', round.wrapping_sub(2)]),
            remove([b'l', round.wrapping_sub(2)]),
        ];
        store.apply(batch, durability).expect("it applies");
        if round == 3 {
            store.sync().expect("it syncs");
        }
        expected = everything(&*store);
        assert_eq!(expected.len(), if round == 0 { 3 } else { 5 });
    }
    assert!(everything(&*place.open()) == expected);
}
