use super::{integer, milli};

#[test]
fn prices_are_read_in_thousandths() {
    let read = ["2.55", "0", "-11062.06", "0.001", "+7.1", "12.", ".5", "1.2300"].map(milli);
    let expected = [2_550, 0, -11_062_060, 1, 7_100, 12_000, 500, 1_230].map(Some);
    assert_eq!(read, expected);
}

#[test]
fn what_is_no_price_is_none() {
    for text in ["", "-", ".", "1.2345", "1,5", "1e3", "£2", " 2", "2.5 ", "--1", "nan", "99999999999999999999"] {
        assert_eq!(milli(text), None, "{text:?}");
    }
}

#[test]
fn quantities_are_whole() {
    assert_eq!(["6", "-80995", "+1"].map(integer), [Some(6), Some(-80_995), Some(1)]);
    assert_eq!(["", "6.0", "many", "1 000", "9223372036854775808"].map(integer), [None; 5]);
}
