use super::Timestamp;

#[test]
fn prints_and_parses_rfc_3339() {
    let at = Timestamp::from_millis(1_323_435_000_000);
    assert_eq!(at.to_string(), "2011-12-09T12:50:00.000Z");
    assert_eq!(Timestamp::parse("2011-12-09T12:50:00Z"), Some(at));
}
