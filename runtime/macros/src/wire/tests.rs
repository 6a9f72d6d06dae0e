use syn::{DeriveInput, parse_str};

use super::*;

/// The message of the error that this struct meets, and what it points at.
fn refused(input: &str) -> (String, String) {
    let error = crate::typed::expand(&parse_str::<DeriveInput>(input).unwrap()).unwrap_err();
    (error.to_string(), error.span().source_text().unwrap_or_default())
}

#[test]
fn attributes_that_change_the_form_of_a_value_are_refused() {
    let fields = [
        ("flatten", "flatten"),
        ("serialize_with = \"a\"", "serialize_with"),
        ("deserialize_with = \"a\"", "deserialize_with"),
        ("skip_serializing", "skip_serializing"),
        ("skip_deserializing", "skip_deserializing"),
        ("getter = \"a\"", "getter"),
    ];
    for (attribute, name) in fields {
        let (message, at) = refused(&format!("struct A {{ #[serde(default, {attribute})] x: i64 }}"));
        assert!(message.starts_with(&format!("serde's `{name}` gives values a form")), "{attribute}: {message}");
        assert_eq!(at, name);
    }
    let types = ["untagged", "tag = \"t\"", "content = \"c\"", "from = \"B\"", "into = \"B\"", "remote = \"B\""];
    for attribute in types {
        let (message, _) = refused(&format!("#[serde({attribute})] struct A {{ x: i64 }}"));
        assert!(message.starts_with("serde's `"), "{attribute}: {message}");
    }
}

#[test]
fn some_refusals_say_what_to_do_instead() {
    let cases = [
        ("skip_serializing_if = \"Option::is_none\"", "a record in Avro has all its fields", "skip_serializing_if"),
        ("with = \"hex\"", "what this module writes is not known here", "\"hex\""),
        ("rename(serialize = \"a\")", "a schema has one name for both directions", "rename"),
        ("rename = \"a-b\"", "\"a-b\" is no name in Avro", "\"a-b\""),
        ("alias = \"1\"", "\"1\" is no name in Avro", "\"1\""),
    ];
    for (attribute, message, at) in cases {
        let (found, source) = refused(&format!("struct A {{ #[serde({attribute})] x: Option<i64> }}"));
        assert!(found.starts_with(message), "{attribute}: {found}");
        assert_eq!(source, at);
    }
    let (message, at) = refused("#[serde(deny_unknown_fields)] struct A { x: i64 }");
    assert!(message.starts_with("records of other versions have other fields"), "{message}");
    assert_eq!(at, "deny_unknown_fields");
    let (message, at) = refused("#[serde(rename_all = \"kebab-case\")] struct A { x: i64 }");
    assert!(message.starts_with("Avro has no names of this form"), "{message}");
    assert_eq!(at, "\"kebab-case\"");
    let (message, at) = refused("enum A { #[serde(skip)] X }");
    assert!(message.starts_with("a variant has `rename` and `alias`"), "{message}");
    assert_eq!(at, "X");
}

#[test]
fn a_skipped_field_may_have_any_name_and_others_may_not() {
    let ok = "struct A { #[serde(skip, rename = \"a b\")] x: i64, y: i64 }";
    assert!(crate::typed::expand(&parse_str(ok).unwrap()).is_ok());
    let (message, at) = refused("struct A { größe: i64 }");
    assert_eq!(
        (message.as_str(), at.as_str()),
        ("\"größe\" is no name in Avro: letters, digits and _, and no digit first", "größe")
    );
}

#[test]
fn an_option_is_known_by_its_last_word() {
    assert!(is_option(&parse_str("std::option::Option<Vec<u8>>").unwrap()));
    assert!(!is_option(&parse_str("Vec<Option<u8>>").unwrap()));
}
