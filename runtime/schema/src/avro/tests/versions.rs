//! Versions of a schema: which agree with the type, and how they are read.

use serde::Deserialize;

use super::*;

const FIRST: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "weight", "type": "int"}, {"name": "id", "type": "string"}, {"name": "gone", "type": "string"}]}"#;
const SECOND: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "string"}, {"name": "weight", "type": "long"},
    {"name": "note", "type": ["null", "string"]}, {"name": "parts", "type": "long"}]}"#;

fn one() -> i64 {
    1
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: String,
    weight: i64,
    note: Option<String>,
    #[serde(default = "one")]
    parts: i64,
}
typed!(Order {
    id: String::shape(),
    weight: i64::shape(),
    note: Option::<String>::shape(),
    #[default true]
    parts: i64::shape(),
});
event!(Order, "shop.order", 2, [1: FIRST, 2: SECOND]);

/// The same event as its first author wrote it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OldOrder {
    weight: i32,
    id: String,
    gone: String,
}
typed!(OldOrder { weight: i32::shape(), id: String::shape(), gone: String::shape() });
event!(OldOrder, "shop.order", 1, [1: FIRST]);

#[test]
fn an_older_version_is_read_as_todays_type() {
    let old = encoded(&OldOrder { weight: 7, id: "a".into(), gone: "bye".into() });
    let read = Avro::<Order>::open().unwrap().decode(&old.into()).unwrap();
    assert_eq!(read, Order { id: "a".into(), weight: 7, note: None, parts: 1 });
}

#[test]
fn the_order_of_the_files_does_not_matter() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Turned {
        id: String,
        weight: i64,
        note: Option<String>,
        #[serde(default)]
        parts: i64,
    }
    typed!(Turned {
        id: String::shape(),
        weight: i64::shape(),
        note: Option::<String>::shape(),
        #[default true]
        parts: i64::shape(),
    });
    event!(Turned, "shop.order", 2, [2: SECOND, 1: FIRST]);
    let order = Order { id: "a".into(), weight: 7, note: Some("n".into()), parts: 3 };
    let turned = Turned { id: "a".into(), weight: 7, note: Some("n".into()), parts: 3 };
    assert_eq!(encoded(&turned), encoded(&order));
    let old = encoded(&OldOrder { weight: 7, id: "a".into(), gone: String::new() });
    assert_eq!(Avro::<Turned>::open().unwrap().decode(&old.into()).unwrap().parts, 0);
}

#[test]
fn a_newer_version_is_named_by_its_fingerprint() {
    let new = encoded(&Order { id: "a".into(), weight: 7, note: None, parts: 1 });
    let head: Vec<String> = new[2..10].iter().map(|byte| format!("{byte:02X}")).collect();
    let error = Avro::<OldOrder>::open().unwrap().decode(&new.into()).unwrap_err();
    let message = format!("shop.order: no version known here has the schema fingerprint {}", head.join(" "));
    assert_eq!(error.0, message);
}

#[test]
fn a_field_that_cannot_be_read_is_an_error_at_start() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Strict {
        id: String,
        weight: i64,
        note: String,
        parts: i64,
    }
    typed!(Strict { id: String::shape(), weight: i64::shape(), note: String::shape(), parts: i64::shape() });
    event!(Strict, "shop.strict", 2, [1: FIRST, 2: SECOND]);
    let error = Avro::<Strict>::open().unwrap_err();
    assert_eq!(error.code, Code::SCHEMA_MISMATCH);
    let message = "shop.strict version 1 (schemas/shop/strict/v1.avsc): field note: the schema has no such field, \
                   the Rust type has String; a field that older records lack needs `#[serde(default)]`";
    assert_eq!(error.message, message);
}

#[test]
fn the_version_that_is_written_needs_its_file() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Late {
        id: String,
    }
    typed!(Late { id: String::shape() });
    event!(Late, "shop.late", 3, [1: r#"{"type": "record", "name": "L", "fields": [{"name": "id", "type": "string"}]}"#]);
    let error = Avro::<Late>::open().unwrap_err();
    let message = "shop.late is written in version 3, and schemas/shop/late/v3.avsc is missing";
    assert_eq!(error.message, message);
}

#[test]
fn a_file_that_does_not_parse_is_named() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Broken {
        id: String,
    }
    typed!(Broken { id: String::shape() });
    event!(Broken, "shop.broken", 1, [1: "{}"]);
    let error = Avro::<Broken>::open().unwrap_err();
    assert!(error.message.starts_with("shop.broken version 1 (schemas/shop/broken/v1.avsc): "), "{error}");
}
