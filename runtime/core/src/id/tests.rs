use super::{EventId, IdBase};

#[test]
fn ids_repeat_for_the_same_cause_and_differ_otherwise() {
    let base = IdBase::of("orders", "invoices", b"cause-1");
    assert_eq!(EventId::derive(base, 0), EventId::derive(IdBase::of("orders", "invoices", b"cause-1"), 0));
    assert_ne!(EventId::derive(base, 0), EventId::derive(base, 1));
    assert_ne!(EventId::derive(base, 0), EventId::derive(IdBase::of("orders", "invoice", b"scause-1"), 0));
}

#[test]
fn an_id_prints_as_a_uuid_of_version_8() {
    let text = EventId::derive(IdBase::of("a", "b", b"c"), 7).to_string();
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    assert_eq!((text.len(), dashes), (36, vec![8, 13, 18, 23]));
    assert_eq!(text.as_bytes()[14], b'8');
    assert!(b"89ab".contains(&text.as_bytes()[19]));
}
