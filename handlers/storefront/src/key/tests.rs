use super::{Key, LONGEST, is_order_id};

fn read(value: &str) -> Result<String, String> {
    Key::parse(value.as_bytes()).map(|key| key.as_str().to_owned())
}

#[test]
fn a_key_is_a_string_in_quotes_or_the_same_without() {
    assert_eq!(read("\"8e03978e-40d5\"").as_deref(), Ok("8e03978e-40d5"));
    assert_eq!(read("8e03978e-40d5").as_deref(), Ok("8e03978e-40d5"));
    assert_eq!(read(r#""a \"b\" \\ c;d""#).as_deref(), Ok(r#"a "b" \ c;d"#));
    assert_eq!(read(" \"a\" ").as_deref(), Ok("a"));
}

#[test]
fn what_is_no_key_is_refused_with_a_reason() {
    let long = "k".repeat(LONGEST + 1);
    let quoted = format!("\"{long}\"");
    for (value, reason) in [
        ("", "empty"),
        ("\"\"", "empty"),
        (&*long, "256 characters"),
        (&*quoted, "256 characters"),
        ("\"a", "do not end"),
        ("\"a\";b=1", "follows behind"),
        (r#""a\n""#, "backslash"),
        ("a b", "in quotes"),
        ("a, b", "in quotes"),
        ("a;b", "in quotes"),
        ("schlüssel", "printable ASCII"),
        ("a\tb", "printable ASCII"),
    ] {
        let refused = read(value).expect_err(value);
        assert!(refused.contains(reason), "{value}: {refused}");
    }
    assert!(Key::parse(&[b'a', 0xff]).is_err());
    assert!(read(&"k".repeat(LONGEST)).is_ok());
}

#[test]
fn the_id_of_an_order_derives_from_its_key() {
    let id = |key: &str| Key::parse(key.as_bytes()).unwrap().order_id();
    // It stands in rows and events: another derivation would place every order that is sent again a second time.
    assert_eq!(id("\"order 17\""), "9ba29ef3fd7d73e54df643ee0bc94c83");
    assert_eq!(id("a"), id("\"a\""));
    assert_ne!(id("a"), id("A"));
    assert!(is_order_id(&id("a")));
    assert!(!is_order_id("a") && !is_order_id(&id("a").to_uppercase()));
}
