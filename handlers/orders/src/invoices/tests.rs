use tidemill::time::Timestamp;

use super::month_of;

#[test]
fn a_month_is_that_of_the_line_to_the_last_millisecond() {
    for (time, month) in [
        ("2010-12-01T00:00:00.000Z", "2010-12"),
        ("2010-12-31T23:59:59.999Z", "2010-12"),
        ("2011-01-01T00:00:00.000Z", "2011-01"),
    ] {
        let time = Timestamp::parse(time).expect("a time");
        assert_eq!(month_of(time.as_millis()), month);
    }
}
