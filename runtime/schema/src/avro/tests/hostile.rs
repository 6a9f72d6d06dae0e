//! Bytes that nobody wrote: each is answered with a value or an error.

use super::*;

fn sale() -> Vec<u8> {
    encoded(&Sale { country: "France".into(), amount: 1, note: None })
}

fn refusal<E>(value: Vec<u8>) -> String
where
    Avro<E>: Codec<E>,
    E: Event + fmt::Debug,
{
    Avro::<E>::open().unwrap().decode(&value.into()).unwrap_err().0
}

/// How many items a value holds, all lists together; each has taken a byte of the input at least.
fn items(event: &Everything) -> usize {
    let maps = event.by_name.values().map(|items| items.len() + 1).sum::<usize>();
    let options = event.maybe_numbers.as_ref().map_or(0, Vec::len) + event.maybe_map.as_ref().map_or(0, BTreeMap::len);
    event.items.len() + event.numbers.len() + maps + options
}

fn everything_bytes() -> Vec<u8> {
    encoded(&Everything {
        flag: true,
        tiny: 1,
        small: 2,
        int: 3,
        wide: 4,
        long: 5,
        float: 6.0,
        double: 7.0,
        text: "text".into(),
        raw: vec![1, 2],
        bytes: Bytes::from_static(b"bytes"),
        numbers: vec![1, 2, 3],
        kind: Kind::Used,
        code: Some(Number("code".into())),
        maybe_wide: None,
        maybe_tiny: Some(1),
        maybe_float: Some(0.5),
        maybe_bytes: Some(Bytes::from_static(b"more")),
        maybe_numbers: Some(vec![1, 2]),
        maybe_map: Some(BTreeMap::from([("a".into(), Item { code: "b".into(), kind: None })])),
        first: Some(Item { code: "c".into(), kind: Some(Kind::New) }),
        items: vec![Item { code: "d".into(), kind: Some(Kind::New) }; 3],
        by_name: BTreeMap::from([("e".into(), vec![Item { code: "f".into(), kind: None }])]),
        boxed: Box::new(8),
    })
}

#[test]
fn a_value_without_our_head_says_what_it_has() {
    let marker = "test.sale: the value begins with 7B 22, not with Avro's marker C3 01";
    assert_eq!(refusal::<Sale>(br#"{"country": "France"}"#.to_vec()), marker);
    assert_eq!(refusal::<Sale>(Vec::new()), "test.sale: the value begins with nothing, not with Avro's marker C3 01");
    assert_eq!(
        refusal::<Sale>(vec![0xC3, 0x01, 9, 9]),
        "test.sale: the value ends after 4 bytes, within the schema's fingerprint"
    );
    let mut foreign = sale();
    foreign[2..10].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 0xFF]);
    let unknown = "test.sale: no version known here has the schema fingerprint 01 02 03 04 05 06 07 FF";
    assert_eq!(refusal::<Sale>(foreign), unknown);
}

#[test]
fn every_cut_is_an_error_and_so_is_every_byte_more() {
    let whole = everything_bytes();
    for end in 0..whole.len() {
        refusal::<Everything>(whole[..end].to_vec());
    }
    let mut more = sale();
    more.push(0);
    assert_eq!(refusal::<Sale>(more), "test.sale version 1 cannot be read: bytes follow its last field");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct List {
    items: Vec<Item>,
    by_name: BTreeMap<String, i64>,
}
typed!(List { items: Vec::<Item>::shape(), by_name: BTreeMap::<String, i64>::shape() });
event!(List, "test.list", 1, []);

/// A list whose fields are these bytes.
fn list(fields: &[u8]) -> Vec<u8> {
    let mut value = encoded(&List { items: Vec::new(), by_name: BTreeMap::new() });
    value.truncate(10);
    value.extend_from_slice(fields);
    value
}

#[test]
fn a_huge_count_is_refused_before_anything_is_kept() {
    // 2^62 items, and the same as a block with its length in bytes.
    let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    let error = refusal::<List>(list(&huge));
    assert!(error.contains("max sequence size"), "{error}");
    let negative = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x02];
    refusal::<List>(list(&negative));
    // A text of 2^62 bytes.
    let text = [&[0x02][..], &huge].concat();
    refusal::<List>(list(&text));
    // A length below zero.
    refusal::<List>(list(&[0x02, 0x01]));
}

#[test]
fn blocks_with_their_length_are_read() {
    // -1 items in 3 bytes: "A", none; then one without a length: "B", none.
    let value = list(&[0x01, 0x06, 0x02, b'A', 0x00, 0x02, 0x02, b'B', 0x00, 0x00, 0x00]);
    let read = Avro::<List>::open().unwrap().decode(&value.into()).unwrap();
    let item = |code: &str| Item { code: code.into(), kind: None };
    assert_eq!(read, List { items: vec![item("A"), item("B")], by_name: BTreeMap::new() });
}

#[test]
fn a_list_of_nothing_is_no_schema_of_ours() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Nothing {}
    #[derive(Debug, Serialize, Deserialize)]
    struct Nothings {
        items: Vec<Nothing>,
    }
    typed!(Nothing {});
    typed!(Nothings { items: Vec::<Nothing>::shape() });
    event!(Nothings, "test.nothings", 1, []);
    let error = Avro::<Nothings>::open().unwrap_err();
    assert!(error.message.contains("array whose items take no bytes"), "{error}");
}

proptest! {
    #[test]
    fn random_bytes_are_answered(mut value in proptest::collection::vec(any::<u8>(), 0..300), headed in any::<bool>()) {
        if headed && value.len() >= 10 {
            value[..10].copy_from_slice(&everything_bytes()[..10]);
        }
        let length = value.len();
        if let Ok(event) = Avro::<Everything>::open().unwrap().decode(&value.into()) {
            prop_assert!(items(&event) <= length);
        }
    }

    #[test]
    fn changed_bytes_are_answered(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut value = everything_bytes();
        for (at, byte) in changes {
            // The head stays, so that the fields are looked at.
            let at = 10 + at.index(value.len() - 10);
            value[at] = byte;
        }
        if is_cut {
            value.truncate(cut.index(value.len()));
        }
        let length = value.len();
        if let Ok(event) = Avro::<Everything>::open().unwrap().decode(&value.into()) {
            prop_assert!(items(&event) <= length);
        }
    }
}
