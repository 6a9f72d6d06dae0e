use super::{number, pounds};

#[test]
fn numbers_have_their_thousands_apart() {
    assert_eq!([number(0), number(999), number(1_000), number(-1_234_567)], ["0", "999", "1,000", "-1,234,567"]);
}

#[test]
fn amounts_are_pounds_and_pence() {
    assert_eq!([pounds(9_747_747_934), pounds(-5), pounds(-1_230)], ["£9,747,747.93", "-£0.00", "-£1.23"]);
}
