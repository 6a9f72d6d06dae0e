use proptest::prelude::*;

use super::*;

/// A letter of handler `pay`, with a key of two words and a failure of a known time.
fn fact(field: Field) -> Fact<'static> {
    match field {
        Field::Handler => Fact::Text("pay"),
        Field::Code => Fact::Text("TM-0501"),
        Field::Key => Fact::Text("a \"b\" \\"),
        Field::Message => Fact::Text("card refused by the bank"),
        Field::Attempts => Fact::Number(10),
        Field::Time => Fact::Time(Timestamp::parse("2026-01-02T00:00:00Z").expect("a time")),
        _ => Fact::Nothing,
    }
}

fn holds(text: &str) -> bool {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).holds(&fact)
}

#[test]
fn comparisons_hold_or_do_not() {
    for (text, expected) in [
        ("handler = pay", true),
        ("handler=pay", true),
        ("handler = \"pay\"", true),
        ("handler != pay", false),
        ("handler = Pay", false),
        ("code = TM-0501", true),
        ("message ~ refused", true),
        ("message ~ \"by the\"", true),
        ("message ~ accepted", false),
        (r#"key = "a \"b\" \\""#, true),
        ("attempts > 9", true),
        ("attempts < 10", false),
        ("attempts = 10", true),
        ("time > 2026-01-01T00:00:00Z", true),
        ("time > 2026-01-02T00:00:00Z", false),
        ("time = 2026-01-02T01:00:00+01:00", true),
        ("type = anything", false),
        ("type != anything", true),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
}

#[test]
fn and_binds_closer_than_or_and_not_closer_than_both() {
    assert!(holds("handler = pay or handler = pay and handler = no"));
    assert!(!holds("(handler = pay or handler = pay) and handler = no"));
    assert!(holds("not handler = no and handler = pay"));
    assert!(!holds("not (handler = no or handler = pay)"));
    assert!(holds("not not handler = pay"));
    assert!(holds("code = TM-0501 and handler = pay and time > 2026-01-01T00:00:00Z and key ~ \"b\""));
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (text, at, what) in [
        ("", 1, "a field is expected"),
        ("handler = ", 11, "a value is expected"),
        ("handler pay", 9, "one of = != < > ~"),
        ("colour = red", 1, "there is no field colour"),
        ("handler = pay handler = pay", 15, "`and`, `or` or the end"),
        ("key = ü or (code = TM-0501", 27, "`)` is expected"),
        ("handler = pay or", 17, "a field is expected"),
        ("key = \"abc", 7, "not closed"),
        ("attempts = many", 12, "a number"),
        ("time > yesterday", 8, "a time such as"),
        ("time ~ 2026", 6, "time cannot be compared by ~"),
        ("handler < pay", 9, "handler cannot be compared by <"),
        ("handler == pay", 10, "a value is expected"),
        (")", 1, "a field is expected"),
    ] {
        let error = Filter::parse(text).expect_err(text);
        assert!(error.at == at && error.to_string().contains(what), "{text}: {error}");
    }
    let deep = format!("{}handler = pay", "not ".repeat(100_000));
    assert!(Filter::parse(&deep).expect_err("too deep").to_string().contains("nested"));
}

fn compared() -> impl Strategy<Value = Filter> {
    let field = proptest::sample::select(Field::ALL.map(|(_, field)| field).to_vec());
    (field, 0..3_usize, any::<String>(), any::<u32>()).prop_map(|(field, comparison, text, number)| {
        let (value, third) = match field.kind() {
            Kind::Text => (Value::Text(text), Comparison::Holds),
            Kind::Number => (Value::Number(number.into()), Comparison::Less),
            Kind::Time => (Value::Time(Timestamp::from_millis(number.into())), Comparison::More),
        };
        let comparison = [Comparison::Is, Comparison::IsNot, third][comparison];
        Filter::Compared(Compared { field, comparison, value })
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    compared().prop_recursive(4, 20, 3, |inner| {
        let some = || proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            some().prop_map(Filter::Either),
            some().prop_map(Filter::Both),
            inner.clone().prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_what_it_was(filter in filter()) {
        prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = Filter::parse(&text);
    }
}
