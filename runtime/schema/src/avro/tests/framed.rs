//! Values that name their schema by the id of a registry.

use serde::Deserialize;

use super::*;

const NEWER: &str = r#"{"type": "record", "name": "Sale", "namespace": "test", "fields": [
    {"name": "till", "type": ["null", "int"], "default": null}, {"name": "country", "type": "string"},
    {"name": "amount", "type": "long"}, {"name": "note", "type": ["null", "string"]}]}"#;

/// The type of its first field.
const TILL: &str = r#""type": ["null", "int"], "default": null"#;

/// A sale as its author's next version has it.
#[derive(Debug, Serialize, Deserialize)]
struct NewerSale {
    till: Option<i32>,
    country: String,
    amount: i64,
    note: Option<String>,
}
typed!(NewerSale {
    till: Option::<i32>::shape(),
    country: String::shape(),
    amount: i64::shape(),
    note: Option::<String>::shape(),
});
event!(NewerSale, "test.sale", 1, [1: NEWER]);

fn sale() -> Sale {
    Sale { country: "France".into(), amount: 70_000, note: None }
}

/// An event as a service with a registry writes it.
fn framed<E>(event: &E, id: u32) -> Bytes
where
    E: Event<Codec = Avro<E>>,
    Avro<E>: Codec<E>,
{
    let codec = Avro::<E>::open().unwrap();
    codec.name_schema(id);
    let mut into = Vec::new();
    codec.encode(event, &mut into).unwrap();
    into.into()
}

#[test]
fn a_framed_value_is_a_zero_the_id_and_the_fields() {
    let value = framed(&sale(), 0x0102_0304);
    let mut expected = vec![0, 1, 2, 3, 4];
    expected.extend_from_slice(&encoded(&sale())[10..]);
    assert_eq!(value, expected);
}

#[test]
fn a_framed_value_is_read_by_the_schema_of_its_id() {
    let codec = Avro::<Sale>::open().unwrap();
    let (own, newer) = (framed(&sale(), 7), framed(&newer(), 300));
    assert_eq!((codec.missing(&own), codec.missing(&newer)), (Some(7), Some(300)));
    codec.learn(300, NEWER).unwrap();
    codec.learn(7, codec.schema().unwrap()).unwrap();
    codec.learn(7, Sale::SCHEMAS[0].text).unwrap();
    assert_eq!((codec.missing(&own), codec.missing(&newer)), (None, None));
    assert_eq!(codec.decode(&own).unwrap(), sale());
    assert_eq!(codec.decode(&newer).unwrap(), sale());
    // Nor does what is written without a registry need anything.
    let single = Bytes::from(encoded(&sale()));
    assert_eq!(codec.missing(&single), None);
    assert_eq!(codec.decode(&single).unwrap(), sale());
    // What one codec has learned, another has not: two hosts may have two registries.
    assert_eq!(Avro::<Sale>::open().unwrap().missing(&own), Some(7));
}

fn newer() -> NewerSale {
    NewerSale { till: Some(4), country: "France".into(), amount: 70_000, note: None }
}

#[test]
fn without_a_registry_a_framed_value_says_what_is_missing() {
    let codec = Avro::<Sale>::open().unwrap();
    let error = codec.decode(&framed(&sale(), 7)).unwrap_err();
    assert_eq!(error.0, "test.sale: the value names schema 7 of a registry, and registry.url is not set");
    for end in 1..5 {
        let cut = framed(&sale(), 7).slice(..end);
        assert_eq!(codec.missing(&cut), None);
        let message = format!("test.sale: the value ends after {end} bytes, within the id of a registered schema");
        assert_eq!(codec.decode(&cut).unwrap_err().0, message);
    }
}

#[test]
fn a_registered_schema_that_does_not_fit_is_an_error() {
    let codec = Avro::<Sale>::open().unwrap();
    let error = codec.learn(7, "{}").unwrap_err();
    assert!(error.0.starts_with("test.sale schema 7 of the registry: "), "{error}");
    let error = codec.learn(7, &NEWER.replace("\"long\"", "\"string\"")).unwrap_err();
    let message = "test.sale schema 7 of the registry: field amount: the schema has string, the Rust type has i64";
    assert_eq!(error.0, message);
    let nothings = NEWER.replace(TILL, r#""type": {"type": "array", "items": "null"}"#);
    let error = codec.learn(7, &nothings).unwrap_err();
    assert!(error.0.contains("array whose items take no bytes"), "{error}");
    assert_eq!(codec.missing(&framed(&sale(), 7)), Some(7), "it is not known");
}

#[test]
fn records_that_hold_each_other_over_and_over_are_refused() {
    // 2^30 fields, and with a few more letters more than anybody would live to see skipped.
    let mut inner = r#"{"type": "record", "name": "R0", "fields": [{"name": "n", "type": "null"}]}"#.to_owned();
    for level in 1..=30 {
        let below = level - 1;
        inner = format!(
            r#"{{"type": "record", "name": "R{level}", "fields": [{{"name": "a", "type": {inner}}}, {{"name": "b", "type": "R{below}"}}]}}"#
        );
    }
    let schema = NEWER.replace(TILL, &format!(r#""type": {inner}"#));
    let error = Avro::<Sale>::open().unwrap().learn(7, &schema).unwrap_err();
    assert!(error.0.ends_with("more than 4096 fields, those of the records in it included"), "{error}");
}

#[test]
fn every_cut_of_a_framed_value_is_an_error_and_so_is_every_byte_more() {
    let codec = Avro::<Sale>::open().unwrap();
    codec.learn(7, NEWER).unwrap();
    let whole = framed(&newer(), 7);
    for end in 0..whole.len() {
        codec.decode(&whole.slice(..end)).unwrap_err();
    }
    let more = Bytes::from([&whole[..], &[0]].concat());
    let message = "test.sale schema 7 of the registry cannot be read: bytes follow its last field";
    assert_eq!(codec.decode(&more).unwrap_err().0, message);
}

#[test]
fn threads_learn_at_the_same_time() {
    let codec = Avro::<Sale>::open().unwrap();
    let learn = |from: u32| (from..from + 50).for_each(|id| codec.learn(id, NEWER).unwrap());
    #[expect(clippy::disallowed_methods, reason = "workers share their service's codecs")]
    std::thread::scope(|scope| {
        for from in [0, 25, 50] {
            scope.spawn(move || learn(from));
        }
    });
    assert!((0..100).all(|id| codec.missing(&framed(&newer(), id)).is_none()));
    assert_eq!(codec.missing(&framed(&newer(), 100)), Some(100));
}

proptest! {
    #[test]
    fn random_fields_are_answered(fields in proptest::collection::vec(any::<u8>(), 0..300)) {
        let codec = Avro::<Sale>::open().unwrap();
        codec.learn(7, NEWER).unwrap();
        let value = Bytes::from([&[0, 0, 0, 0, 7], &fields[..]].concat());
        if let Ok(sale) = codec.decode(&value) {
            prop_assert!(sale.country.len() + sale.note.map_or(0, |note| note.len()) <= fields.len());
        }
    }
}
