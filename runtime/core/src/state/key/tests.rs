use proptest::prelude::*;

use super::{MapKey, Scope, ScopeKey, cell_suffix, map_suffix, state_key};
use crate::ports::KeyRange;

fn encoded<K: MapKey>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

#[test]
fn a_state_key_can_be_taken_apart() {
    let key = state_key("stock", b"85123A", &cell_suffix("units"));
    let expected = ScopeKey { handler: "stock", key: b"85123A", name: "units", entry: None };
    assert_eq!(ScopeKey::parse(&key), Some(expected));
    let mut suffix = map_suffix("lines");
    7_u64.encode(&mut suffix);
    let key = state_key("stock", b"", &suffix);
    assert_eq!(ScopeKey::parse(&key).and_then(|key| key.entry), Some(&7_u64.to_be_bytes()[..]));
    assert_eq!(ScopeKey::parse(&key[..4]), None);
}

/// Whether two keys sort as their bytes do, and come back from them.
fn sort_as_their_bytes<K: MapKey + Ord + Clone + std::fmt::Debug>(left: K, right: K) -> Result<(), TestCaseError> {
    prop_assert_eq!(left.cmp(&right), encoded(&left).cmp(&encoded(&right)));
    prop_assert_eq!(K::decode(&encoded(&left)), Some(left));
    prop_assert_eq!(K::decode(&encoded(&right)), Some(right));
    Ok(())
}

macro_rules! integers {
    ($($test:ident: $integer:ty;)*) => {
        proptest! {$(
            /// Any two, two so near to one another that the last byte decides, two on either side of zero.
            #[test]
            fn $test(left: $integer, right: $integer, near in 0..3 as $integer, bytes: Vec<u8>) {
                sort_as_their_bytes(left, right)?;
                sort_as_their_bytes(left, left.wrapping_add(near))?;
                sort_as_their_bytes(near, (0 as $integer).wrapping_sub(near))?;
                prop_assert_eq!(<$integer>::decode(&bytes).is_some(), bytes.len() == size_of::<$integer>());
            }
        )*}
    };
}

integers! {
    u8_sorts_as_its_bytes: u8;
    u16_sorts_as_its_bytes: u16;
    u32_sorts_as_its_bytes: u32;
    u64_sorts_as_its_bytes: u64;
    u128_sorts_as_its_bytes: u128;
    i8_sorts_as_its_bytes: i8;
    i16_sorts_as_its_bytes: i16;
    i32_sorts_as_its_bytes: i32;
    i64_sorts_as_its_bytes: i64;
    i128_sorts_as_its_bytes: i128;
}

/// A place of state: its handler, record key, name, and the entry's key in a map. Short parts of few letters often begin with
/// one another; one is longer than a length of one byte can say.
type Place = (String, Vec<u8>, String, Option<Vec<u8>>);

fn place() -> impl Strategy<Value = Place> {
    let name = || prop_oneof![8 => "[ab]{0,3}", 1 => "[ab]{127,129}"];
    let bytes = || prop_oneof![8 => proptest::collection::vec(0_u8..3, 0..4), 1 => Just(vec![0; 130])];
    (name(), bytes(), name(), proptest::option::of(bytes()))
}

fn key_of((handler, key, name, entry): &Place) -> Vec<u8> {
    let suffix = entry.as_ref().map_or_else(|| cell_suffix(name), |entry| [&map_suffix(name)[..], entry].concat());
    state_key(handler, key, &suffix).to_vec()
}

proptest! {
    #[test]
    fn texts_and_bytes_sort_as_they_are(
        left: String,
        right: String,
        few in "[ab]{0,4}",
        other in "[ab]{0,4}",
        bytes: Vec<u8>,
    ) {
        sort_as_their_bytes(left.clone().into_bytes(), right.clone().into_bytes())?;
        sort_as_their_bytes(left, right)?;
        sort_as_their_bytes(few, other)?;
        prop_assert_eq!(String::decode(&bytes), std::str::from_utf8(&bytes).ok().map(str::to_owned));
    }

    /// Only entries of one map may begin with one another, which is why a range of entries begins with the whole map.
    #[test]
    fn no_state_key_is_the_beginning_of_another(left in place(), right in place()) {
        let one_name = (&left.0, &left.1, &left.2) == (&right.0, &right.1, &right.2);
        let begins = key_of(&right).starts_with(&key_of(&left));
        let entry_begins = left.3.as_ref().zip(right.3.as_ref()).is_some_and(|(left, right)| right.starts_with(left));
        prop_assert_eq!(begins, left == right || one_name && entry_begins);
        let same_scope = (&left.0, &left.1) == (&right.0, &right.1);
        prop_assert_eq!(key_of(&right).starts_with(Scope::key(&left.0, &left.1).as_bytes()), same_scope);
        prop_assert_eq!(key_of(&right).starts_with(Scope::handler(&left.0).as_bytes()), left.0 == right.0);
    }

    /// The range of a map, of a key and of a handler hold what is theirs and nothing else.
    #[test]
    fn a_range_holds_what_is_of_its_scope(
        left in place(),
        right in place(),
        bytes: Vec<u8>,
        prefix in proptest::collection::vec(254_u8.., 0..3),
    ) {
        let holds = |prefix: &[u8]| KeyRange::prefix(prefix.to_vec().into()).contains(&key_of(&right));
        let scope = Scope::key(&left.0, &left.1);
        let of_map = (&left.0, &left.1, &left.2) == (&right.0, &right.1, &right.2) && right.3.is_some();
        prop_assert_eq!(holds(&state_key(&left.0, &left.1, &map_suffix(&left.2))), of_map);
        prop_assert_eq!(holds(scope.as_bytes()), (&left.0, &left.1) == (&right.0, &right.1));
        prop_assert_eq!(holds(Scope::handler(&left.0).as_bytes()), left.0 == right.0);
        let near = [&prefix[..], &bytes[..]].concat();
        prop_assert!(KeyRange::prefix(prefix.into()).contains(&near));
    }

    #[test]
    fn any_state_key_can_be_taken_apart(place in place()) {
        let key = key_of(&place);
        let parts = ScopeKey::parse(&key).map(|parts| {
            (parts.handler.to_owned(), parts.key.to_vec(), parts.name.to_owned(), parts.entry.map(<[u8]>::to_vec))
        });
        prop_assert_eq!(parts, Some(place));
    }

    /// What can be taken apart is put together the same way: bytes that nobody wrote, and keys with a byte changed, a part
    /// cut off or more behind them.
    #[test]
    fn bytes_are_a_state_key_or_none(
        bytes in proptest::collection::vec(prop_oneof![0_u8..4, Just(b'a'), Just(0x80), any::<u8>()], 0..16),
        place in place(),
        change in any::<(proptest::sample::Index, u8)>(),
        cut in any::<proptest::sample::Index>(),
        more in proptest::collection::vec(any::<u8>(), 1..3),
    ) {
        let whole = key_of(&place);
        let mut changed = whole.clone();
        let at = change.0.index(whole.len());
        changed[at] = change.1;
        let cut = whole[..cut.index(whole.len())].to_vec();
        for bytes in [bytes, changed, cut, [whole, more].concat()] {
            if let Some(ScopeKey { handler, key, name, entry }) = ScopeKey::parse(&bytes) {
                let place = (handler.to_owned(), key.to_vec(), name.to_owned(), entry.map(<[u8]>::to_vec));
                prop_assert_eq!(key_of(&place), bytes);
            }
        }
    }
}
