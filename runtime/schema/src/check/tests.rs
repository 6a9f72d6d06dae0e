use super::*;
use crate::file;
use crate::typed::Typed;

fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, aliases: &[], default: false, shape }
}

fn order(fields: fn() -> Vec<Field>) -> Shape {
    Shape::Record(Record { name: "Order", path: "shop::Order", fields })
}

/// A record with these fields, as JSON.
fn schema(fields: &str) -> SchemaMut {
    file::parse(&format!(r#"{{"type": "record", "name": "shop.Order", "fields": [{fields}]}}"#)).unwrap()
}

/// What a comparison of one field says: that it can be written, that it can be read.
fn fits(shape: &Shape, avro: &str) -> (bool, bool) {
    let text = format!(r#"{{"type": "array", "items": {avro}}}"#);
    let schema = file::parse(&text).unwrap();
    let list = Shape::Array(Box::new(shape.clone()));
    let fits = |purpose| compare(&list, &schema, purpose).is_ok();
    (fits(Purpose::Written), fits(Purpose::Read))
}

#[test]
fn types_fit_as_the_specification_says() {
    const BOTH: (bool, bool) = (true, true);
    const READ: (bool, bool) = (false, true);
    const NONE: (bool, bool) = (false, false);
    let fixed = r#"{"type": "fixed", "name": "F", "size": 16}"#;
    let time = r#"{"type": "long", "logicalType": "timestamp-millis"}"#;
    let cases = [
        (bool::shape(), r#""boolean""#, BOTH),
        (bool::shape(), r#""int""#, NONE),
        (u8::shape(), r#""int""#, BOTH),
        (i32::shape(), r#""int""#, BOTH),
        (i32::shape(), r#""long""#, NONE),
        (u32::shape(), r#""long""#, BOTH),
        (u32::shape(), r#""int""#, READ),
        (i64::shape(), r#""long""#, BOTH),
        (i64::shape(), r#""int""#, READ),
        (i64::shape(), time, BOTH),
        (i64::shape(), r#""double""#, NONE),
        (f32::shape(), r#""float""#, BOTH),
        (f32::shape(), r#""long""#, READ),
        (f32::shape(), r#""double""#, NONE),
        (f64::shape(), r#""double""#, BOTH),
        (f64::shape(), r#""float""#, READ),
        (f64::shape(), r#""int""#, READ),
        (String::shape(), r#""string""#, BOTH),
        (String::shape(), r#""bytes""#, READ),
        (String::shape(), r#""long""#, NONE),
        (bytes::Bytes::shape(), r#""bytes""#, BOTH),
        (bytes::Bytes::shape(), r#""string""#, READ),
        (bytes::Bytes::shape(), fixed, BOTH),
        (Vec::<u8>::shape(), r#""bytes""#, NONE),
        (Vec::<u8>::shape(), r#"{"type": "array", "items": "int"}"#, BOTH),
        (Option::<i64>::shape(), r#"["null", "long"]"#, BOTH),
        (Option::<i64>::shape(), r#"["long", "null"]"#, BOTH),
        (Option::<i64>::shape(), r#"["null", "int"]"#, READ),
        (Option::<i64>::shape(), r#""long""#, READ),
        (Option::<i64>::shape(), r#"["null", "string"]"#, NONE),
        (Option::<i64>::shape(), r#"["null", "long", "string"]"#, NONE),
        (Option::<Option<i64>>::shape(), r#"["null", "long"]"#, READ),
        (i64::shape(), r#"["null", "long"]"#, NONE),
        (Vec::<i64>::shape(), r#"{"type": "array", "items": "int"}"#, READ),
        (Vec::<i64>::shape(), r#"{"type": "map", "values": "long"}"#, NONE),
    ];
    for (shape, avro, expected) in cases {
        assert_eq!(fits(&shape, avro), expected, "{shape} and {avro}");
    }
}

#[test]
fn the_written_version_has_exactly_the_fields_of_the_type() {
    let shape = order(|| vec![field("id", String::shape()), field("note", Option::<String>::shape())]);
    let both = r#"{"name": "note", "type": ["null", "string"]}, {"name": "id", "type": "string"}"#;
    assert_eq!(compare(&shape, &schema(both), Purpose::Written), Ok(()));

    let misfit = compare(&shape, &schema(r#"{"name": "id", "type": "string"}"#), Purpose::Written).unwrap_err();
    let message = "field note: the schema has no such field, the Rust type has Option<String>; \
                   a new field needs a new version of the schema";
    assert_eq!(misfit.to_string(), message);

    let more = format!(r#"{both}, {{"name": "total", "type": "long"}}"#);
    let misfit = compare(&shape, &schema(&more), Purpose::Written).unwrap_err();
    let message = "field total: the schema has long, the Rust type has no such field; \
                   without a value for it no record can be written";
    assert_eq!(misfit.to_string(), message);
}

#[test]
fn an_older_version_may_lack_what_has_a_default_and_have_what_is_gone() {
    let shape = order(|| {
        vec![
            field("id", String::shape()),
            field("note", Option::<String>::shape()),
            Field { default: true, ..field("total", i64::shape()) },
        ]
    });
    let old = r#"{"name": "id", "type": "string"}, {"name": "gone", "type": "long"}"#;
    assert_eq!(compare(&shape, &schema(old), Purpose::Read), Ok(()));

    let misfit = compare(&shape, &schema(r#"{"name": "gone", "type": "long"}"#), Purpose::Read).unwrap_err();
    let message = "field id: the schema has no such field, the Rust type has String; \
                   a field that older records lack needs `#[serde(default)]`";
    assert_eq!(misfit.to_string(), message);

    let wrong = r#"{"name": "id", "type": "string"}, {"name": "total", "type": ["null", "long"]}"#;
    let misfit = compare(&shape, &schema(wrong), Purpose::Read).unwrap_err();
    assert_eq!(
        misfit.to_string(),
        "field total: the schema has union of null and long, the Rust type has i64; a union with null is an option"
    );
}

#[test]
fn older_names_are_read_and_never_written() {
    let shape = order(|| vec![Field { aliases: &["number"], ..field("id", String::shape()) }]);
    let old = schema(r#"{"name": "number", "type": "string"}"#);
    assert_eq!(compare(&shape, &old, Purpose::Read), Ok(()));
    assert!(compare(&shape, &old, Purpose::Written).is_err());
    let both = schema(r#"{"name": "number", "type": "string"}, {"name": "id", "type": "string"}"#);
    let misfit = compare(&shape, &both, Purpose::Read).unwrap_err().to_string();
    assert!(misfit.contains("comes twice"), "{misfit}");
}

#[test]
fn the_way_to_a_nested_field_is_named() {
    let shape = order(|| {
        let item = Shape::Record(Record {
            name: "Item",
            path: "shop::Item",
            fields: || vec![field("prices", std::collections::BTreeMap::<String, i64>::shape())],
        });
        vec![field("items", Shape::Optional(Box::new(Shape::Array(Box::new(item)))))]
    });
    let fields = r#"{"name": "items", "type": ["null", {"type": "array", "items": {"type": "record", "name": "Item",
        "fields": [{"name": "prices", "type": {"type": "map", "values": "string"}}]}}]}"#;
    let misfit = compare(&shape, &schema(fields), Purpose::Written).unwrap_err();
    assert_eq!(misfit.to_string(), "field items[].prices{}: the schema has string, the Rust type has i64");
}

#[test]
fn a_list_of_numbers_is_told_how_to_become_bytes() {
    let shape = order(|| vec![field("body", Vec::<u8>::shape())]);
    let misfit = compare(&shape, &schema(r#"{"name": "body", "type": "bytes"}"#), Purpose::Written).unwrap_err();
    assert!(misfit.to_string().contains("serde_bytes"), "{misfit}");
}

#[test]
fn enums_know_their_symbols() {
    let kind = |symbols, aliases| Shape::Enum(Choice { name: "Kind", path: "shop::Kind", symbols, aliases });
    let avro = r#"{"type": "enum", "name": "shop.Kind", "symbols": ["New", "Used"]}"#;
    assert_eq!(fits(&kind(&["Used", "New"], &[]), avro), (true, true));
    assert_eq!(fits(&kind(&["New", "Used", "Lost"], &[]), avro), (false, true));
    assert_eq!(fits(&kind(&["New"], &[]), avro), (false, false));
    assert_eq!(fits(&kind(&["New", "Old"], &["Used"]), avro), (false, true));
    let schema = file::parse(avro).unwrap();
    let misfit = compare(&kind(&["New", "Used", "Lost"], &[]), &schema, Purpose::Written).unwrap_err();
    let message = "the schema has shop.Kind without the symbol Lost, the Rust type has it as a variant of Kind; \
                   records that hold it could not be written";
    assert_eq!(misfit.to_string(), message);
}

#[test]
fn a_type_that_holds_itself_is_refused() {
    fn tree() -> Shape {
        Shape::Record(Record {
            name: "Tree",
            path: "shop::Tree",
            fields: || vec![field("branches", Shape::Array(Box::new(tree())))],
        })
    }
    let text = r#"{"type": "record", "name": "Tree", "fields": [
        {"name": "branches", "type": {"type": "array", "items": "Tree"}}]}"#;
    let misfit = compare(&tree(), &file::parse(text).unwrap(), Purpose::Written).unwrap_err();
    assert!(misfit.to_string().contains("it holds itself"), "{misfit}");
}

#[test]
fn a_list_of_nothing_is_seen() {
    let nothing = r#"{"name": "a", "type": {"type": "array", "items": "null"}}"#;
    assert!(!is_bounded(&schema(nothing)));
    let empty = r#"{"name": "a", "type": {"type": "array", "items": {"type": "record", "name": "E", "fields": [
        {"name": "n", "type": "null"}]}}}"#;
    assert!(!is_bounded(&schema(empty)));
    assert!(is_bounded(&schema(r#"{"name": "a", "type": {"type": "array", "items": ["null", "long"]}}"#)));
    assert!(is_bounded(&schema(r#"{"name": "a", "type": {"type": "map", "values": "null"}}"#)));
}
