use std::fs;

use syn::parse_str;

use super::*;

/// What the derive writes, in a package without a catalogue.
fn expanded(input: &str) -> String {
    code(&expand(&parse_str(input).unwrap(), Path::new("")).unwrap().to_string())
}

/// The message of the derive's error, and what it points at.
fn refused(input: &str) -> (String, String) {
    let error = expand(&parse_str(input).unwrap(), Path::new("")).unwrap_err();
    (error.to_string(), error.span().source_text().unwrap_or_default())
}

/// A piece of code without its spaces, which differ with where tokens come from.
fn code(text: &str) -> String {
    text.split_whitespace().collect()
}

const ORDER: &str = r#"#[event(name = "shop.order-placed", version = 1, topic = "orders", key = id)]
    pub struct OrderPlaced { pub id: String, pub total: i64 }"#;

#[test]
fn an_event_names_everything_through_tidemill() {
    let expected = code(
        r#"
        #[automatically_derived]
        impl ::tidemill::schema::Typed for OrderPlaced {
            fn shape() -> ::tidemill::schema::Shape {
                ::tidemill::schema::Shape::Record(::tidemill::schema::Record {
                    name: "OrderPlaced",
                    path: ::core::any::type_name::<Self>(),
                    fields: || ::std::vec![
                        ::tidemill::schema::Field {
                            name: "id",
                            aliases: &[],
                            default: false,
                            shape: <String as ::tidemill::schema::Typed>::shape(),
                        },
                        ::tidemill::schema::Field {
                            name: "total",
                            aliases: &[],
                            default: false,
                            shape: <i64 as ::tidemill::schema::Typed>::shape(),
                        }
                    ],
                })
            }
        }
        #[automatically_derived]
        impl ::tidemill::event::Event for OrderPlaced {
            const NAME: &'static str = "shop.order-placed";
            const VERSION: u32 = 1u32;
            const TOPIC: &'static str = "orders";
            const SCHEMAS: &'static [::tidemill::event::SchemaFile] = &[];
            type Codec = ::tidemill::schema::Avro<OrderPlaced>;
            fn key(&self) -> ::core::option::Option<::std::borrow::Cow<'_, [u8]>> {
                ::core::option::Option::Some(::tidemill::event::EventKey::to_key(&self.id))
            }
        }"#,
    );
    assert_eq!(expanded(ORDER), expected);
}

#[test]
fn schema_files_become_part_of_the_program() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("schemas/shop/order-placed");
    fs::create_dir_all(&folder).unwrap();
    let package = root.path().join("orders");
    let input: DeriveInput = parse_str(&ORDER.replace("version = 1", "version = 2")).unwrap();

    let error = expand(&input, &package).unwrap_err();
    assert!(error.to_string().starts_with("schemas/shop/order-placed/v2.avsc is missing"), "{error}");
    assert_eq!(error.span().source_text().unwrap(), r#""shop.order-placed""#);

    for version in [1, 2, 3] {
        fs::write(folder.join(format!("v{version}.avsc")), "{}").unwrap();
    }
    let written = code(&expand(&input, &package).unwrap().to_string());
    let file = |version: u32| {
        let path = format!("/../schemas/shop/order-placed/v{version}.avsc");
        format!(
            "::tidemill::event::SchemaFile {{ version: {version}u32, text: ::core::include_str!(::core::concat!(\
             ::core::env!(\"CARGO_MANIFEST_DIR\"), {path:?})), }}"
        )
    };
    assert!(written.contains(&code(&format!("&[{}, {}]", file(1), file(2)))), "{written}");
}

#[test]
fn an_event_without_a_key_has_none() {
    let written = expanded(r#"#[event(name = "a.b", version = 1, topic = "t")] struct A { x: i64 }"#);
    assert!(written.contains(&code("{ ::core::option::Option::None }")), "{written}");
}

#[test]
fn a_key_may_be_a_raw_name_or_a_place() {
    let written =
        expanded(r#"#[event(name = "a.b", version = 1, topic = "t", key = r#type)] struct A { r#type: i64 }"#);
    assert!(written.contains(&code("to_key(&self.r#type)")), "{written}");
    let tuple = r#"#[event(name = "a.b", version = 1, topic = "t", key = 0, codec = json)] struct A(String, i64);"#;
    assert!(expanded(tuple).contains(&code("to_key(&self.0)")));
}

#[test]
fn other_codecs_need_nothing_of_avro() {
    let event = |codec: &str, body: &str| {
        expanded(&format!(r#"#[event(name = "a.b", version = 1, topic = "t", codec = {codec})] {body}"#))
    };
    let json = event("json", "#[serde(untagged)] enum A { X(i64), Y { #[serde(flatten)] z: u64 } }");
    assert!(json.contains(&code("type Codec = ::tidemill::codec::Json;")), "{json}");
    assert!(!json.contains("Typed"), "{json}");
    let raw = event("raw", "struct A(Bytes);");
    assert!(raw.contains(&code("type Codec = ::tidemill::codec::Raw;")), "{raw}");
    let own = event("crate::wire::Packed<Self>", "struct A(Bytes);");
    assert!(own.contains(&code("type Codec = crate::wire::Packed<Self>;")), "{own}");
    let avro = event("avro", "struct A { x: i64 }");
    assert!(avro.contains(&code("type Codec = ::tidemill::schema::Avro<A>;")), "{avro}");
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let body = "struct A { x: i64 }";
    let cases = [
        ("", "an event needs `#[event(name = \"domain.event\", version = 1, topic = \"…\", key = field)]`", "A"),
        (r#"#[event(version = 1, topic = "t")]"#, "`name = \"domain.event\"` is missing", "#"),
        (r#"#[event(name = "a.b", topic = "t")]"#, "`version = 1` is missing", "#"),
        (
            r#"#[event(name = "a.b", version = 1, topic = "t", kee = x)]"#,
            "unknown; an event has `name`, `version`, `topic`, `key`, `id` and `codec`",
            "kee",
        ),
        (r#"#[event(name = "a.b", name = "a.c", version = 1, topic = "t")]"#, "it is said twice", "name"),
        (r#"#[event(name = "a.b", version = 0, topic = "t")]"#, "a version is a number from 1", "0"),
        (r#"#[event(name = "a.b", version = 5000000000, topic = "t")]"#, "a version is a number from 1", "5000000000"),
        (
            r#"#[event(name = "a.b", version = 1, topic = "t t")]"#,
            "a topic is 1 to 249 letters, digits, `.`, `_` and `-`",
            r#""t t""#,
        ),
    ];
    for (attribute, message, at) in cases {
        let (found, source) = refused(&format!("{attribute} {body}"));
        assert_eq!(found, message, "{attribute}");
        assert!(source.starts_with(at), "{attribute} points at {source:?}");
    }
}

#[test]
fn a_name_is_a_domain_and_an_event() {
    for name in ["order", "", ".", "a.", "a..b", "a b.c", "a/b.c", "1.b", "a.-b"] {
        let (message, at) = refused(&format!(r#"#[event(name = "{name}", version = 1, topic = "t")] struct A {{}}"#));
        assert!(message.starts_with("a name is a domain and an event"), "{name}: {message}");
        assert_eq!(at, format!("{name:?}"));
    }
}

#[test]
fn an_id_is_a_field_as_a_key_is() {
    let event = |id: &str| {
        refused(&format!(
            r#"#[event(name = "a.b", version = 1, topic = "t", id = {id})] struct A {{ number: String }}"#
        ))
    };
    let (message, at) = event("nomber");
    assert_eq!((message.as_str(), at.as_str()), ("there is no such field; the id is one of `number`", "nomber"));
    let (message, _) = event("\"number\"");
    assert_eq!(message, "the id is a field: its name without quotes");
}

#[test]
fn a_key_that_cannot_be_is_refused_where_it_stands() {
    let event = |key: &str, body: &str| {
        refused(&format!(r#"#[event(name = "a.b", version = 1, topic = "t", key = {key})] {body}"#))
    };
    let (message, at) = event("oder_id", "struct A { order_id: String, total: i64 }");
    assert_eq!(message, "there is no such field; the key is one of `order_id`, `total`");
    assert_eq!(at, "oder_id");
    let (message, at) = event("\"id\"", "struct A { id: String }");
    assert_eq!((message.as_str(), at.as_str()), ("the key is a field: its name without quotes", "\"id\""));
    let (message, at) = event("id", "struct A { #[serde(skip)] id: String }");
    assert!(message.starts_with("the key has to be written"), "{message}");
    assert_eq!(at, "id");
    let (message, _) = event("id", "enum A { X }");
    assert_eq!(message, "only a struct has a field that is its key");
}

#[test]
fn types_that_are_no_events_are_refused() {
    let event = |body: &str| refused(&format!(r#"#[event(name = "a.b", version = 1, topic = "t")] {body}"#));
    let (message, at) = event("struct A<T> { x: T }");
    assert_eq!(message, "an event has no parameters: its name stands for one type");
    assert_eq!(at, "T");
    let (_, at) = event("struct A<'a> { x: &'a str }");
    assert_eq!(at, "'a");
    for body in ["struct A(i64);", "struct A;", "enum A { X }", "#[serde(transparent)] struct A { x: i64 }"] {
        let (message, at) = event(body);
        assert!(message.starts_with("an event in Avro is a struct with named fields"), "{body}: {message}");
        assert_eq!(at, "A");
    }
}
