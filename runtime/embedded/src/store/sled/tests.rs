use super::*;
use crate::store::engine::Engine as _;
use crate::store::{KEY_LIMIT, VALUE_LIMIT};

fn opened(directory: &Path) -> Engine {
    Engine::open(directory, 1024 * 1024).unwrap()
}

fn put(key: Vec<u8>, length: usize) -> Change {
    Change { key: key.into(), value: Some(vec![7; length].into()) }
}

/// The store's own keys have one byte in front.
fn longest_key(n: u32) -> Vec<u8> {
    let mut key = vec![1; KEY_LIMIT + 1];
    key[KEY_LIMIT - 3..].copy_from_slice(&n.to_be_bytes());
    key
}

#[test]
fn no_node_becomes_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(directory.path());
    for n in 0..600_u32 {
        let n = n.wrapping_mul(0x9E37_79B9);
        store.apply(vec![put(longest_key(n), PART_BYTES), put(longest_key(!n), 3 * PART_BYTES)]).unwrap();
    }
    for n in 0..500_u32 {
        // Nodes that lose entries are merged.
        let n = n.wrapping_mul(0x9E37_79B9);
        store.apply(vec![Change { key: longest_key(n).into(), value: None }]).unwrap();
    }
    store.sync().unwrap();
    assert_eq!(std::fs::read_dir(directory.path().join("blobs")).unwrap().count(), 0);
}

#[test]
fn parts_go_with_their_value_also_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let parts = |store: &Engine| store.db.range(parts::all()).count();
    let store = opened(directory.path());
    assert!(!store.has_parts.load(Ordering::Relaxed));
    store.apply(vec![put(vec![1, 1], 5 * PART_BYTES), put(vec![1, 2], PART_BYTES + 1)]).unwrap();
    assert_eq!(parts(&store), 7);
    drop(store);
    let store = opened(directory.path());
    store.apply(vec![put(vec![1, 1], 2 * PART_BYTES)]).unwrap();
    assert_eq!(parts(&store), 4);
    store.apply(vec![put(vec![1, 1], PART_BYTES), Change { key: vec![1, 2].into(), value: None }]).unwrap();
    assert_eq!(parts(&store), 0);
}

#[test]
fn a_value_whose_parts_or_head_are_gone_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(directory.path());
    store.apply(vec![put(vec![1, 1], 3 * PART_BYTES), put(vec![1, 2], 3)]).unwrap();
    let part = parts::keys(&[1, 1], 3 * PART_BYTES).nth(1).unwrap();
    store.db.remove(part).unwrap();
    store.db.insert([1, 2], &[9, 9][..]).unwrap();
    assert!(matches!(store.get(&[1, 1]), Err(Failure::Damaged(_))));
    assert!(matches!(store.get(&[1, 2]), Err(Failure::Damaged(_))));
    store.db.insert([1, 2], &[1, 9][..]).unwrap();
    assert!(matches!(store.get(&[1, 2]), Err(Failure::Damaged(_))));
}

#[test]
fn the_limits_fit_the_segment() {
    // A node may have a quarter of a segment. A leaf has up to 17 entries, an inner node up to 257 keys; when a small sibling is
    // merged in, a quarter more.
    let overhead = 32;
    assert!(24 * (PART_BYTES + KEY_LIMIT + overhead) < SEGMENT_BYTES / 4);
    assert!(330 * (KEY_LIMIT + overhead) < SEGMENT_BYTES / 4);
    assert!(VALUE_LIMIT / PART_BYTES < u32::MAX as usize && KEY_LIMIT < usize::from(u16::MAX));
}
