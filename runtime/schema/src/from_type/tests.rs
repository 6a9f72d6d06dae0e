use std::collections::BTreeMap;

use super::*;
use crate::typed::{Field, Typed};

fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, aliases: &[], default: false, shape }
}

fn record(name: &'static str, path: &'static str, fields: fn() -> Vec<Field>) -> Shape {
    Shape::Record(Record { name, path, fields })
}

fn item() -> Shape {
    record("Item", "shop::Item", || vec![field("code", Shape::String), field("kind", kind())])
}

fn kind() -> Shape {
    Shape::Enum(Choice { name: "Kind", path: "shop::Kind", symbols: &["New", "Used"], aliases: &[] })
}

#[test]
fn every_form_has_its_schema() {
    let shape = record("Order", "shop::Order", || {
        vec![
            field("a", bool::shape()),
            field("b", u16::shape()),
            field("c", u32::shape()),
            field("d", f32::shape()),
            field("e", f64::shape()),
            field("f", bytes::Bytes::shape()),
            field("g", Option::<String>::shape()),
            field("h", BTreeMap::<String, i64>::shape()),
            field("items", Shape::Array(Box::new(item()))),
            field("first", Shape::Optional(Box::new(item()))),
        ]
    });
    let text = schema("my-shop.order", &shape).unwrap();
    let expected = concat!(
        r#"{"type":"record","name":"my_shop.Order","fields":[{"name":"a","type":"boolean"},{"name":"b","type":"int"},"#,
        r#"{"name":"c","type":"long"},{"name":"d","type":"float"},{"name":"e","type":"double"},"#,
        r#"{"name":"f","type":"bytes"},{"name":"g","type":["null","string"]},"#,
        r#"{"name":"h","type":{"type":"map","values":"long"}},{"name":"items","type":{"type":"array","items":"#,
        r#"{"type":"record","name":"my_shop.Item","fields":[{"name":"code","type":"string"},{"name":"kind","type":"#,
        r#"{"type":"enum","name":"my_shop.Kind","symbols":["New","Used"]}}]}}},"#,
        r#"{"name":"first","type":["null","my_shop.Item"]}]}"#,
    );
    assert_eq!(text, expected);
    let parsed = crate::file::parse(&text).unwrap();
    assert_eq!(crate::check::compare(&shape, &parsed, crate::check::Purpose::Written), Ok(()));
}

#[test]
fn two_types_of_one_name_are_refused() {
    let shape = record("Order", "shop::Order", || {
        vec![field("a", item()), field("b", record("Item", "store::Item", Vec::new))]
    });
    let error = schema("shop.order", &shape).unwrap_err();
    assert!(error.contains("shop::Item") && error.contains("store::Item"), "{error}");
}

#[test]
fn a_type_that_holds_itself_ends() {
    fn tree() -> Shape {
        record("Tree", "shop::Tree", || vec![field("branches", Shape::Array(Box::new(tree())))])
    }
    let text = schema("shop.tree", &tree()).unwrap();
    assert!(text.contains(r#""items":"shop.Tree""#), "{text}");
}
