use proptest::prelude::*;

use super::{EventId, IdBase, IdScope};

#[test]
fn ids_repeat_for_the_same_cause_and_differ_otherwise() {
    let base = IdScope::of("orders", "invoices").base(&[b"cause-1"]);
    assert_eq!(EventId::derive(base, 0), EventId::derive(IdScope::of("orders", "invoices").base(&[b"cause-1"]), 0));
    assert_ne!(EventId::derive(base, 0), EventId::derive(base, 1));
    assert_ne!(EventId::derive(base, 0), EventId::derive(IdScope::of("orders", "invoice").base(&[b"scause-1"]), 0));
}

#[test]
fn an_id_prints_as_a_uuid_of_version_8() {
    let text = EventId::derive(IdScope::of("a", "b").base(&[b"c"]), 7).to_string();
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    assert_eq!((text.len(), dashes), (36, vec![8, 13, 18, 23]));
    assert_eq!(text.as_bytes()[14], b'8');
    assert!(b"89ab".contains(&text.as_bytes()[19]));
}

/// Short parts of few letters, so that what is written without their lengths would often be the same.
fn parts() -> impl Strategy<Value = (String, String, Vec<u8>)> {
    ("[ab]{0,2}", "[ab]{0,2}", "[ab]{0,2}".prop_map(String::into_bytes))
}

proptest! {
    #[test]
    fn another_unit_makes_other_ids(left in parts(), right in parts(), index: u32, other: u32) {
        let of = |parts: &(String, String, Vec<u8>)| IdScope::of(&parts.0, &parts.1).base(&[&parts.2]);
        let (one, two) = (EventId::derive(of(&left), index), EventId::derive(of(&right), index));
        prop_assert_eq!(left == right, one == two);
        prop_assert_eq!(index == other, one == EventId::derive(of(&left), other));
        prop_assert_eq!(index == other, of(&left).draw(index.into()) == of(&left).draw(other.into()));
    }

    /// RFC 9562, from any base: also where the index carries into the bits that say what it is.
    #[test]
    fn any_id_is_a_uuid_of_version_8(base in prop_oneof![any::<u128>(), Just(u128::MAX)], index: u32) {
        let id = EventId::derive(IdBase(base), index);
        let text = id.to_string();
        let groups: Vec<&str> = text.split('-').collect();
        prop_assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        let number = u128::from_str_radix(&groups.concat(), 16).expect("hex digits");
        prop_assert_eq!(number, id.0);
        prop_assert_eq!(((number >> 76) & 0xf, (number >> 62) & 0b11), (8, 0b10));
    }
}
