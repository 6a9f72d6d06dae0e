//! Threads: readers beside a writer, and several writers.

#![expect(clippy::disallowed_methods, reason = "a check of what threads see needs threads; all are joined here")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use tidemill_core::ports::{Durability, KeyRange, Store};

use super::{Place, apply, get, noise, put};

/// How many keys each batch sets, all to the number of the batch.
const KEYS: u16 = 120;

fn key(n: u16) -> [u8; 4] {
    // Spread, so that they do not lie in one node or block.
    let [high, low] = n.to_be_bytes();
    [b'k', low.wrapping_mul(59), high, low]
}

fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(value[..8].try_into().expect("a value begins with a number"))
}

fn value(batch: u64, n: u16) -> Vec<u8> {
    // Some are large, and of another size each time.
    let rest = if n.is_multiple_of(40) { usize::try_from(batch % 5).expect("it is small") * 9_000 } else { 60 };
    [&batch.to_be_bytes()[..], &noise(rest, batch)].concat()
}

/// A scan sees each batch whole or not at all, no read goes back, of whatever kind, and what was answered is seen.
pub(super) fn whole_batches(place: &dyn Place) {
    const BATCHES: u64 = 60;
    let store = place.open();
    let batch = |number: u64| (0..KEYS).map(|n| put(key(n), value(number, n))).collect();
    apply(&*store, batch(1));
    let (answered, done) = (AtomicU64::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3_u16)
            .map(|reader| {
                let (store, answered, done) = (&*store, &answered, &done);
                scope.spawn(move || read(store, reader, answered, done))
            })
            .collect();
        for number in 2..=BATCHES {
            let durability = if number % 10 == 0 { Durability::Synced } else { Durability::Buffered };
            store.apply(batch(number), durability).expect("it applies");
            answered.store(number, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().expect("the reader saw what it should") > 0, "a reader read");
        }
    });
}

/// Reads until the writer is done; gives how often.
fn read(store: &dyn Store, reader: u16, answered: &AtomicU64, done: &AtomicBool) -> u64 {
    let (mut seen, mut rounds) = (0, 0);
    while !done.load(Ordering::SeqCst) || rounds == 0 {
        let before = answered.load(Ordering::SeqCst);
        let range = KeyRange::prefix(Bytes::from_static(b"k"));
        let entries = store.scan(&range, usize::MAX).expect("it scans");
        assert_eq!(entries.len(), usize::from(KEYS));
        let numbers: Vec<_> = entries.iter().map(|(_, value)| number(value)).collect();
        assert!(numbers.iter().all(|number| *number == numbers[0]), "a scan saw a part of a batch: {numbers:?}");
        assert!(numbers[0] >= before, "a scan saw {} after {before} was answered", numbers[0]);
        assert!(numbers[0] >= seen, "a scan went back from {seen} to {}", numbers[0]);
        seen = numbers[0];
        let one = get(store, key(reader * 40)).expect("the key is there");
        assert!(number(&one) >= seen, "a get went back from {seen} to {}", number(&one));
        assert_eq!(one, value(number(&one), reader * 40), "a get saw a part of a value");
        let (_, last) = store.last(&range).expect("it reads").expect("it is there");
        assert!(number(&last) >= number(&one), "the last went back from {} to {}", number(&one), number(&last));
        seen = number(&last);
        rounds += 1;
    }
    rounds
}

/// Every writer sets the same keys; each batch wins everywhere or nowhere, and each one's own key counts its batches.
pub(super) fn several_writers(place: &dyn Place) {
    const BATCHES: u64 = 40;
    let store = place.open();
    thread::scope(|scope| {
        for writer in 0..3_u64 {
            let store = &*store;
            scope.spawn(move || {
                for number in 1..=BATCHES {
                    let id = number * 3 + writer;
                    let shared = (0..KEYS).map(|n| put(key(n), value(id, n)));
                    let own = put([b'w', u8::try_from(writer).expect("it is small")], number.to_be_bytes());
                    apply(store, shared.chain([own]).collect());
                }
            });
        }
    });
    let numbers: Vec<_> = (0..KEYS).map(|n| number(&get(&*store, key(n)).expect("the key is there"))).collect();
    assert!(numbers.iter().all(|number| *number == numbers[0]), "batches of two writers are mixed: {numbers:?}");
    for writer in 0..3 {
        assert_eq!(get(&*store, [b'w', writer]), Some(BATCHES.to_be_bytes().into()));
    }
}
