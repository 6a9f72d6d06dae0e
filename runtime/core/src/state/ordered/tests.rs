use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::Ordered;
use crate::ports::KeyRange;

/// Few enough keys that they meet, and more than a small map holds.
fn key() -> impl Strategy<Value = Bytes> {
    (0_u8..60).prop_map(|key| Bytes::from(vec![key / 4; usize::from(key % 4) + 1]))
}

fn bound() -> impl Strategy<Value = Bound<Bytes>> {
    prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

fn pairs<V: Clone>(entries: impl IntoIterator<Item = (Bytes, V)>) -> Vec<(Bytes, V)> {
    entries.into_iter().collect()
}

proptest! {
    #[test]
    fn agrees_with_a_tree(
        steps in vec((0_u8..10, key(), any::<u16>()), 0..200),
        start in bound(),
        end in bound(),
    ) {
        let (mut map, mut model) = (Ordered::default(), BTreeMap::new());
        for (step, key, value) in steps {
            match step {
                0 => {
                    map.remove(&key);
                    model.remove(&key);
                }
                1 => {
                    map.retain(|value| value % 3 != 0);
                    model.retain(|_, value| *value % 3 != 0);
                }
                2 if value % 64 == 0 => {
                    map.clear();
                    model.clear();
                }
                2 => {
                    if let Some(found) = map.get_mut(&key) {
                        *found = value;
                    }
                    model.entry(key.clone()).and_modify(|found| *found = value);
                }
                _ => {
                    map.insert(key.clone(), value);
                    model.insert(key.clone(), value);
                }
            }
            prop_assert_eq!(map.get(&key), model.get(&key));
            prop_assert_eq!(map.is_empty(), model.is_empty());
        }
        let range = KeyRange { start, end };
        if !range.is_empty() {
            let bounds = (range.start.clone(), range.end.clone());
            prop_assert!(map.range(&range).eq(model.range(bounds)));
        }
        prop_assert!(map.iter().eq(model.iter()));
        prop_assert_eq!(pairs(map), pairs(model));
    }
}
