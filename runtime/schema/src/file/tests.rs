use super::*;

#[test]
fn a_version_has_its_place_in_the_catalogue() {
    assert_eq!(path("shop.order-placed", 2), "schemas/shop/order-placed/v2.avsc");
    assert_eq!(path("com.example.order", 10), "schemas/com.example/order/v10.avsc");
}

#[test]
fn a_file_that_is_no_schema_says_why() {
    assert!(parse("{").is_err());
    let error = parse(r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": "lnog"}]}"#).unwrap_err();
    assert!(error.contains("lnog"), "{error}");
    let error = parse(r#"{"type": "record", "name": "A", "fields": [{"name": "a b", "type": "long"}]}"#).unwrap_err();
    assert!(error.contains("a b"), "{error}");
}

#[test]
fn logical_types_are_what_they_are_made_of() {
    let with = r#"{"type": "record", "name": "A", "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}}]}"#;
    let without = r#"{"type": "record", "name": "A", "fields": [
        {"name": "at", "type": "long"}, {"name": "amount", "type": "bytes"}, {"name": "id", "type": "string"}]}"#;
    let fingerprint = |text: &str| *parse(text).unwrap().freeze().unwrap().rabin_fingerprint();
    assert_eq!(fingerprint(with), fingerprint(without));
    assert!(parse(with).unwrap().nodes().iter().all(|node| node.logical_type.is_none()));
}

/// The fingerprint as the specification defines it, over a canonical form written out by hand.
#[test]
fn fingerprints_are_those_of_the_specification() {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    let canonical = r#"{"name":"shop.A","type":"record","fields":[{"name":"at","type":"long"},{"name":"note","type":["null","string"]}]}"#;
    let table: Vec<u64> = (0..256)
        .map(|byte| (0..8).fold(byte, |value, _| (value >> 1) ^ (EMPTY & 0u64.wrapping_sub(value & 1))))
        .collect();
    let expected = canonical
        .bytes()
        .fold(EMPTY, |value, byte| (value >> 8) ^ table[usize::from(u8::try_from(value & 0xff).unwrap() ^ byte)]);
    let file = r#"{"type": "record", "namespace": "shop", "name": "A", "doc": "An event.", "fields": [
        {"name": "at", "doc": "When.", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "note", "type": ["null", "string"], "default": null}]}"#;
    let schema = parse(file).unwrap().freeze().unwrap();
    assert_eq!(*schema.rabin_fingerprint(), expected.to_le_bytes());
}
