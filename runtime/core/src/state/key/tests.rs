use proptest::prelude::*;

use super::{MapKey, Scope, ScopeKey, cell_suffix, map_suffix};

fn encoded<K: MapKey>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

#[test]
fn a_state_key_can_be_taken_apart() {
    let key = Scope::key("stock", b"85123A").with_suffix(&cell_suffix("units"));
    let expected = ScopeKey { handler: "stock", key: b"85123A", name: "units", entry: None };
    assert_eq!(ScopeKey::parse(&key), Some(expected));
    let mut suffix = map_suffix("lines");
    7_u64.encode(&mut suffix);
    let key = Scope::key("stock", b"").with_suffix(&suffix);
    assert_eq!(ScopeKey::parse(&key).and_then(|key| key.entry), Some(&7_u64.to_be_bytes()[..]));
    assert_eq!(ScopeKey::parse(&key[..4]), None);
}

proptest! {
    #[test]
    fn integers_sort_as_their_bytes(a: i64, b: i64) {
        prop_assert_eq!(a.cmp(&b), encoded(&a).cmp(&encoded(&b)));
        prop_assert_eq!(i64::decode(&encoded(&a)), Some(a));
    }

    #[test]
    fn no_key_is_the_beginning_of_another_keys_state(a: Vec<u8>, b: Vec<u8>) {
        let (left, right) = (Scope::key("h", &a), Scope::key("h", &b));
        prop_assert_eq!(a == b, right.with_suffix(&cell_suffix("c")).starts_with(left.as_bytes()));
    }
}
