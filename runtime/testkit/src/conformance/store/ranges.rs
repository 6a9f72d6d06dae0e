//! Ranges: order, bounds, prefixes, limits.

use std::ops::Bound;

use bytes::Bytes;
use tidemill_core::ports::{KeyRange, Store};

use super::{Place, apply, put};

/// Keys that lie close together: each a prefix of the next, or one bit away.
const KEYS: [&[u8]; 10] = [b"", b"\0", b"\0\0", b"a", b"a\0", b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff"];

/// Points between and on keys.
const POINTS: [&[u8]; 9] = [b"", b"\0", b"\0\x01", b"a", b"a\x01", b"a\xff\xff", b"b", b"\xff\xff", b"\xff\xff\xff"];

fn filled(place: &dyn Place) -> std::sync::Arc<dyn Store> {
    let store = place.open();
    // Not in order, and in two batches, with one key that is gone again.
    apply(&*store, KEYS.iter().rev().step_by(2).map(|key| put(key, key)).chain([put("aa", "gone")]).collect());
    apply(&*store, KEYS.iter().step_by(2).map(|key| put(key, key)).chain([super::remove("aa")]).collect());
    store
}

fn keys(store: &dyn Store, range: &KeyRange, limit: usize) -> Vec<Bytes> {
    let entries = store.scan(range, limit).expect("it scans");
    assert!(entries.iter().all(|(key, value)| key == value), "an entry has the value of its key");
    entries.into_iter().map(|(key, _)| key).collect()
}

fn within(range: &KeyRange) -> Vec<Bytes> {
    KEYS.iter().filter(|key| range.contains(key)).map(|key| Bytes::from_static(key)).collect()
}

pub(super) fn byte_order(place: &dyn Place) {
    let store = filled(place);
    let all = KeyRange::all();
    assert_eq!(keys(&*store, &all, usize::MAX), KEYS);
    let last = store.last(&all).expect("it reads").expect("it holds keys");
    assert_eq!(last.0, KEYS[KEYS.len() - 1]);
}

/// Every kind of bound at every point, inverted ones and empty ones too.
pub(super) fn bounds(place: &dyn Place) {
    let store = filled(place);
    let mut kinds = vec![Bound::Unbounded];
    for point in POINTS {
        kinds.push(Bound::Included(Bytes::from_static(point)));
        kinds.push(Bound::Excluded(Bytes::from_static(point)));
    }
    for start in &kinds {
        for end in &kinds {
            let range = KeyRange { start: start.clone(), end: end.clone() };
            let expected = within(&range);
            assert_eq!(keys(&*store, &range, usize::MAX), expected, "{range:?}");
            let last = store.last(&range).expect("it reads").map(|(key, _)| key);
            assert_eq!(last.as_ref(), expected.last(), "the last of {range:?}");
        }
    }
}

pub(super) fn prefixes(place: &dyn Place) {
    let store = filled(place);
    for prefix in POINTS {
        let expected: Vec<_> = KEYS.iter().copied().filter(|key| key.starts_with(prefix)).collect();
        let range = KeyRange::prefix(Bytes::from_static(prefix));
        assert_eq!(keys(&*store, &range, usize::MAX), expected, "{prefix:?}");
        let last = store.last(&range).expect("it reads").map(|(key, _)| key);
        assert_eq!(last.as_deref(), expected.last().copied(), "the last of {prefix:?}");
    }
}

pub(super) fn limits(place: &dyn Place) {
    let store = filled(place);
    let range = KeyRange { start: Bound::Excluded(Bytes::new()), end: Bound::Unbounded };
    let expected = within(&range);
    for limit in 0..=expected.len() + 1 {
        assert_eq!(keys(&*store, &range, limit), expected[..limit.min(expected.len())]);
    }
    // Page by page, as a reader goes through a long range.
    let (mut from, mut paged) = (Bound::Unbounded, Vec::new());
    loop {
        let page = keys(&*store, &KeyRange { start: from, end: Bound::Unbounded }, 3);
        let Some(last) = page.last() else { break };
        from = Bound::Excluded(last.clone());
        paged.extend(page);
    }
    assert_eq!(paged, KEYS);
}
