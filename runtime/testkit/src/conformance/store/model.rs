//! Random work on the store and on an ordered map beside it: every answer is the same.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use tidemill_core::ports::{Change, Durability, KeyRange};

use super::Place;

/// Runs, each with up to [`STEPS`] steps; one place serves all of them.
const RUNS: u32 = 40;
const STEPS: usize = 40;

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<Change>, Durability),
    Get(Bytes),
    Scan(KeyRange, usize),
    Last(KeyRange),
    Sync,
    Open,
}

/// Few keys, so that they meet; of bytes that sort at the ends.
fn key() -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![Just(0), Just(1), Just(b'a'), Just(0xfe), Just(0xff)];
    vec(byte, 0..4).prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Bytes> {
    let large = (8_000..60_000_usize, any::<u64>()).prop_map(|(length, seed)| super::noise(length, seed).into());
    prop_oneof![8 => vec(any::<u8>(), 0..60).prop_map(Bytes::from), 1 => large]
}

fn range() -> impl Strategy<Value = KeyRange> {
    let bound =
        || prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)];
    let any = (bound(), bound()).prop_map(|(start, end)| KeyRange { start, end });
    prop_oneof![3 => any, 1 => key().prop_map(KeyRange::prefix)]
}

fn step(keeps: bool) -> impl Strategy<Value = Step> {
    let value = prop_oneof![2 => value().prop_map(Some), 1 => Just(None)];
    let change = (key(), value).prop_map(|(key, value)| Change { key, value });
    let durability = prop_oneof![Just(Durability::Synced), Just(Durability::Buffered)];
    prop_oneof![
        8 => (vec(change, 0..12), durability).prop_map(|(changes, durability)| Step::Apply(changes, durability)),
        3 => key().prop_map(Step::Get),
        4 => (range(), 0..9_usize).prop_map(|(range, limit)| Step::Scan(range, limit)),
        3 => range().prop_map(Step::Last),
        1 => Just(if keeps { Step::Open } else { Step::Sync }),
        1 => Just(Step::Sync),
    ]
}

pub(super) fn same_as_a_map(place: &dyn Place) {
    let mut runner = TestRunner::new(Config { cases: RUNS, failure_persistence: None, ..Config::default() });
    let run = runner.run(&vec(step(place.keeps()), 1..STEPS), |steps| {
        go_through(place, steps);
        Ok(())
    });
    if let Err(failed) = run {
        panic!("{failed}");
    }
}

fn go_through(place: &dyn Place, steps: Vec<Step>) {
    let mut store = place.open();
    let left = super::everything(&*store);
    super::apply(&*store, left.into_iter().map(|(key, _)| super::remove(key)).collect());
    let mut map = BTreeMap::new();
    for step in steps {
        match step {
            Step::Apply(changes, durability) => {
                store.apply(changes.clone(), durability).expect("it applies");
                for Change { key, value } in changes {
                    match value {
                        Some(value) => map.insert(key, value),
                        None => map.remove(&key),
                    };
                }
            }
            Step::Get(key) => assert_eq!(store.get(&key).expect("it reads"), map.get(&key).cloned()),
            Step::Scan(range, limit) => {
                let expected = map.iter().filter(|(key, _)| range.contains(key)).take(limit);
                let expected: Vec<_> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
                assert_eq!(store.scan(&range, limit).expect("it scans"), expected);
            }
            Step::Last(range) => {
                let expected = map.iter().rfind(|(key, _)| range.contains(key));
                let expected = expected.map(|(key, value)| (key.clone(), value.clone()));
                assert_eq!(store.last(&range).expect("it reads"), expected);
            }
            Step::Sync => store.sync().expect("it syncs"),
            Step::Open => {
                drop(store);
                store = place.open();
            }
        }
    }
    let expected: Vec<_> = map.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    assert_eq!(super::everything(&*store), expected);
}
