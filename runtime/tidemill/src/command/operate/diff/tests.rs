use tidemill_core::headers::Headers;
use tidemill_core::time::Timestamp;

use super::*;

fn record(value: &str, headers: &[(&str, &str)]) -> Record {
    Record {
        offset: 0,
        timestamp: Timestamp::default(),
        key: None,
        value: Some(value.to_owned().into()),
        headers: Headers::from_pairs(headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())))),
    }
}

#[test]
fn only_what_changed_is_told() {
    let old = record(r#"{"card": "1", "amount": 5, "note": "x"}"#, &[("a", "1"), ("b", "2"), ("c", "3")]);
    let new = record(r#"{"card":"1","amount":7,"note":"x"}"#, &[("a", "1"), ("b", "9"), ("c", "3")]);
    let amounts = ["- header b: 2", "+ header b: 9", "-   \"amount\": 5,", "+   \"amount\": 7,"];
    assert_eq!(changes(&old, &new), amounts);
    assert_eq!(changes(&old, &old), Vec::<String>::new());
}

#[test]
fn what_is_no_text_is_told_in_base64() {
    let (old, new) = (record("\u{1}", &[]), record("plain\ntext", &[]));
    assert_eq!(changes(&old, &new), ["- base64:AQ==", "+ plain", "+ text"]);
    let none = Record { value: None, ..old };
    assert_eq!(changes(&none, &new)[0], "- (no value)");
}
