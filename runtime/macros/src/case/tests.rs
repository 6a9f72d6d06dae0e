use super::*;

#[test]
fn fields_are_written_as_serde_writes_them() {
    let cases = [
        ("lowercase", "unit_price", "a"),
        ("UPPERCASE", "UNIT_PRICE", "A"),
        ("PascalCase", "UnitPrice", "A"),
        ("camelCase", "unitPrice", "a"),
        ("snake_case", "unit_price", "a"),
        ("SCREAMING_SNAKE_CASE", "UNIT_PRICE", "A"),
    ];
    for (name, long, short) in cases {
        let case = Case::named(name).unwrap();
        assert_eq!((case.field("unit_price").as_str(), case.field("a").as_str()), (long, short), "{name}");
    }
}

#[test]
fn variants_are_written_as_serde_writes_them() {
    let cases = [
        ("lowercase", "secondhand", "b2b"),
        ("UPPERCASE", "SECONDHAND", "B2B"),
        ("PascalCase", "SecondHand", "B2B"),
        ("camelCase", "secondHand", "b2B"),
        ("snake_case", "second_hand", "b2_b"),
        ("SCREAMING_SNAKE_CASE", "SECOND_HAND", "B2_B"),
    ];
    for (name, long, short) in cases {
        let case = Case::named(name).unwrap();
        assert_eq!((case.variant("SecondHand").as_str(), case.variant("B2B").as_str()), (long, short), "{name}");
    }
}

#[test]
fn names_with_hyphens_are_not_for_avro() {
    assert_eq!(Case::named("kebab-case"), None);
    assert_eq!(Case::named("SCREAMING-KEBAB-CASE"), None);
}
