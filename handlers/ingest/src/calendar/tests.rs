use tidemill::time::Timestamp;

use super::{DAY_MS, millis, write};

#[test]
fn every_day_of_a_century_is_what_another_calendar_says() {
    for day in 0..36_525 {
        let at = day * DAY_MS + 8 * 3_600_000 + 26 * 60_000;
        let mut text = String::new();
        write(&mut text, at);
        assert_eq!(millis(&text), Some(at), "{text}");
        let other = Timestamp::parse(&format!("{}Z", text.replace(' ', "T"))).map(Timestamp::as_millis);
        assert_eq!(other, Some(at), "{text}");
    }
}

#[test]
fn seconds_may_be_left_out() {
    assert_eq!(millis("2010-12-01 08:26"), millis("2010-12-01T08:26:00"));
    assert_eq!(millis("1970-01-01 00:00:59"), Some(59_000));
}

#[test]
fn what_is_no_time_is_none() {
    let wrong = [
        "",
        "yesterday",
        "2011-02-29 00:00:00",
        "2010-13-01 00:00:00",
        "2010-00-01 00:00:00",
        "2010-12-00 00:00:00",
        "2010-12-01 24:00:00",
        "2010-12-01 00:60:00",
        "2010-12-01 00:00:60",
        "2010-12-01",
        "12/1/2010 8:26",
        "2010-12-01 08:26:00 ",
        "2010-12-01 08:26:00Z",
        "+010-12-01 08:26:00",
    ];
    for text in wrong {
        assert_eq!(millis(text), None, "{text:?}");
    }
}
