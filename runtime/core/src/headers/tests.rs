use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Headers, ID, KNOWN, SOURCE, TIME, TYPE, read_varint, write_varint};

#[test]
fn a_block_gives_back_what_was_written() {
    let pairs: Vec<(&str, Option<&[u8]>)> =
        vec![(TYPE, Some(b"shop.order-placed")), ("x-own", Some(b"")), ("x-null", None), (KNOWN[9], Some(b"00-1"))];
    let headers = Headers::from_pairs(pairs.clone());
    assert_eq!(headers.iter().collect::<Vec<_>>(), pairs);
    assert_eq!(headers.text(TYPE), Some("shop.order-placed"));
    assert_eq!(headers.get("x-null"), None);
    assert!(headers.is_whole());
}

#[test]
fn a_cut_block_is_not_whole_and_does_not_panic() {
    let whole = Headers::from_pairs([("some-name", Some(&b"some value"[..])), (TYPE, Some(b"t"))]);
    for cut in 1..whole.as_bytes().len() {
        let headers = Headers::from_bytes(whole.as_bytes().slice(..cut));
        assert!(!headers.is_whole() || headers.iter().count() == 1, "cut at {cut}");
    }
}

type Pairs = Vec<(String, Option<Vec<u8>>)>;

/// Names of the list and others, values around the length at which the length takes one byte more.
fn pairs() -> impl Strategy<Value = Pairs> {
    let name = prop_oneof![proptest::sample::select(&KNOWN[..]).prop_map(str::to_owned), "[a-c]{0,2}", ".*"];
    let value = prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 120..132)];
    vec((name, proptest::option::of(value)), 0..12)
}

fn block(pairs: &Pairs) -> Headers {
    Headers::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_deref())))
}

fn read(headers: &Headers) -> Pairs {
    headers.iter().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect()
}

/// An LEB128 varint in numbers that cannot overflow: its value and its length.
fn plain_varint(bytes: &[u8]) -> Option<(u128, usize)> {
    let length = bytes.iter().position(|byte| *byte < 0x80)? + 1;
    let digits = bytes.get(..length.min(18))?;
    Some((digits.iter().rev().fold(0, |value, byte| value * 128 + u128::from(byte & 0x7f)), length))
}

proptest! {
    #[test]
    fn any_pairs_come_back(pairs in pairs()) {
        let headers = block(&pairs);
        prop_assert!(headers.is_whole());
        prop_assert_eq!(&read(&headers), &pairs);
        for name in pairs.iter().map(|(name, _)| name.as_str()).chain(KNOWN) {
            let mut values = pairs.iter().filter(|(found, _)| found == name).filter_map(|(_, value)| value.as_deref());
            let first = values.next();
            prop_assert_eq!(headers.get(name), first);
            prop_assert_eq!(headers.text(name), first.and_then(|value| std::str::from_utf8(value).ok()));
        }
    }

    /// A cut or changed block gives the headers before the first that cannot be read.
    #[test]
    fn a_block_is_read_up_to_its_cut(pairs in pairs(), cut in any::<proptest::sample::Index>()) {
        let whole = block(&pairs);
        let cut = cut.index(whole.as_bytes().len() + 1);
        let headers = Headers::from_bytes(whole.as_bytes().slice(..cut));
        let found = read(&headers);
        prop_assert!(pairs.starts_with(&found));
        let kept = block(&found).as_bytes().len();
        prop_assert!(kept <= cut);
        if found.len() < pairs.len() {
            let one_more = block(&pairs[..=found.len()].to_vec());
            prop_assert!(one_more.as_bytes().len() > cut, "the next header was there");
        }
        prop_assert_eq!(headers.is_whole(), kept == cut);
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(prop_oneof![0_u8..12, any::<u8>()], 0..60)) {
        let headers = Headers::from_bytes(Bytes::from(bytes.clone()));
        let found = read(&headers);
        prop_assert!(found.len() * 2 <= bytes.len(), "a header takes two bytes at least");
        prop_assert_eq!(&read(&block(&found)), &found);
        let printed = format!("{headers:?}");
        prop_assert!(printed.starts_with('{'), "{}", printed);
    }

    #[test]
    fn a_number_has_one_form(
        number in prop_oneof![any::<usize>(), 0_usize..300, (0..usize::BITS).prop_map(|bits| usize::MAX >> bits)],
        bytes in vec(prop_oneof![Just(0x80), Just(0xff), 0_u8..3, any::<u8>()], 0..14),
    ) {
        let mut written = Vec::new();
        write_varint(&mut written, number);
        prop_assert_eq!(plain_varint(&written), Some((number as u128, written.len())));
        let mut rest = &written[..];
        prop_assert_eq!(read_varint(&mut rest), Some(number));
        prop_assert!(rest.is_empty());

        let mut rest = &bytes[..];
        let found = read_varint(&mut rest);
        let plain = plain_varint(&bytes).filter(|(_, length)| *length == 1 || bytes[length - 1] != 0);
        let plain = plain.and_then(|(value, length)| Some((usize::try_from(value).ok()?, length)));
        prop_assert_eq!(found.map(|value| (value, bytes.len() - rest.len())), plain);
    }
}

#[test]
fn several_headers_are_found_in_one_pass_as_each_by_itself() {
    let pairs = [(ID, None), ("x", Some(&b"1"[..])), (ID, Some(b"2")), (ID, Some(b"3")), (SOURCE, Some(b"4"))];
    let headers = Headers::from_pairs(pairs);
    let names = [SOURCE, TIME, ID, "x"];
    assert_eq!(headers.get_all(names), names.map(|name| headers.get(name)));
}
