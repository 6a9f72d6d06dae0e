use syn::parse_str;

use super::*;

fn expanded(input: &str) -> String {
    code(&expand(&parse_str(input).unwrap()).unwrap().to_string())
}

fn refused(input: &str) -> (String, String) {
    let error = expand(&parse_str(input).unwrap()).unwrap_err();
    (error.to_string(), error.span().source_text().unwrap_or_default())
}

/// A piece of code without its spaces, which differ with where tokens come from.
fn code(text: &str) -> String {
    text.split_whitespace().collect()
}

/// A field as the derive writes it.
fn field(name: &str, aliases: &str, default: bool, shape: &str) -> String {
    code(&format!(
        "::tidemill::schema::Field {{ name: {name:?}, aliases: &[{aliases}], default: {default}, shape: {shape}, }}"
    ))
}

fn typed(of: &str) -> String {
    format!("<{of} as ::tidemill::schema::Typed>::shape()")
}

#[test]
fn fields_have_the_names_and_defaults_that_serde_gives_them() {
    let written = expanded(
        r#"#[serde(rename_all = "camelCase", rename = "Row")]
        struct Item {
            unit_price: i64,
            #[serde(rename = "number", alias = "no", alias = "id")] r#type: String,
            #[serde(default)] note: String,
            #[serde(default = "one")] parts: i64,
            #[serde(skip)] cache: HashSet<u64>,
        }"#,
    );
    assert!(written.contains(&code("name: \"Item\"")), "{written}");
    assert!(written.contains(&field("unitPrice", "", false, &typed("i64"))), "{written}");
    assert!(written.contains(&field("number", r#""no", "id""#, false, &typed("String"))), "{written}");
    assert!(written.contains(&field("note", "", true, &typed("String"))), "{written}");
    assert!(written.contains(&field("parts", "", true, &typed("i64"))), "{written}");
    assert!(!written.contains("cache"), "{written}");
    let raw = expanded("struct A { r#type: i64 }");
    assert!(raw.contains(&field("type", "", false, &typed("i64"))), "{raw}");
}

#[test]
fn a_default_of_the_type_is_one_of_every_field() {
    let written = expanded("#[serde(default)] struct A { x: i64 }");
    assert!(written.contains(&field("x", "", true, &typed("i64"))), "{written}");
}

#[test]
fn bytes_are_bytes() {
    let written = expanded(
        r#"struct A { #[serde(with = "serde_bytes")] x: Vec<u8>, #[serde(with = "serde_bytes")] y: Option<Vec<u8>> }"#,
    );
    let optional = "::tidemill::schema::Shape::Optional(::std::boxed::Box::new(::tidemill::schema::Shape::Bytes))";
    assert!(written.contains(&field("x", "", false, "::tidemill::schema::Shape::Bytes")), "{written}");
    assert!(written.contains(&field("y", "", false, optional)), "{written}");
}

#[test]
fn a_transparent_newtype_is_what_it_holds() {
    let written = expanded("#[serde(transparent)] struct Id(String);");
    assert!(written.contains(&code(&format!("{{ {} }}", typed("String")))), "{written}");
    let named = expanded("#[serde(transparent)] struct Id { value: String, #[serde(skip)] seen: bool }");
    assert!(named.contains(&code(&format!("{{ {} }}", typed("String")))), "{named}");
    let (message, at) = refused("#[serde(transparent)] struct Id(String, i64);");
    assert_eq!((message.as_str(), at.as_str()), ("a transparent struct has one field that is written", "Id"));
}

#[test]
fn an_enum_without_data_is_one_of_its_names() {
    let written = expanded(
        r#"#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        enum Kind { Order, #[serde(rename = "back", alias = "BACK")] Cancellation, BookKeeping }"#,
    );
    let expected = code(
        r#"::tidemill::schema::Shape::Enum(::tidemill::schema::Choice {
            name: "Kind",
            path: ::core::any::type_name::<Self>(),
            symbols: &["ORDER", "back", "BOOK_KEEPING"],
            aliases: &["BACK"],
        })"#,
    );
    assert!(written.contains(&expected), "{written}");
}

#[test]
fn types_without_a_form_are_refused() {
    let cases = [
        ("struct A<T> { x: T }", "a type with parameters has no schema of its own", "T"),
        ("struct A(i64);", "a newtype is written as what it holds if it says `#[serde(transparent)]`", "A"),
        ("struct A(i64, i64);", "a struct in Avro has named fields", "A"),
        ("struct A;", "a struct in Avro has named fields", "A"),
        ("enum A {}", "an enum in Avro is one of some names", "A"),
        ("union A { x: i64, y: u64 }", "a union has no form in Avro", "A"),
    ];
    for (input, message, at) in cases {
        assert_eq!(refused(input), (message.to_owned(), at.to_owned()), "{input}");
    }
    let (message, at) = refused("enum A { X, Y(i64) }");
    assert!(message.starts_with("a variant with data has no form in Avro"), "{message}");
    assert_eq!(at, "Y");
}
