use serde_json::json;
use tidemill_core::state::encode;

use crate::said::*;

#[derive(serde::Serialize)]
struct Inner {
    name: &'static str,
}

#[derive(serde::Serialize)]
struct Outer {
    number: Option<i64>,
    none: Option<i64>,
    #[serde(with = "serde_bytes")]
    held: Vec<u8>,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    pairs: Vec<(u8, f64)>,
}

#[test]
fn a_stored_value_is_shown_with_what_its_bytes_hold() {
    let held = encode(&Inner { name: "a" }).expect("a plain struct");
    let outer = Outer { number: Some(-1), none: None, held, bytes: vec![0xff], pairs: vec![(1, 0.5)] };
    let wanted =
        json!({"number": -1, "none": null, "held": {"name": "a"}, "bytes": "base64:/w==", "pairs": [[1, 0.5]]});
    assert_eq!(stored(&encode(&outer).expect("a plain struct")), Some(wanted));
    assert_eq!(stored(b"no value"), None);
}

#[test]
fn keys_of_entries_are_text_or_the_numbers_that_their_bytes_are() {
    assert_eq!(entry(b"SKU-1"), json!("SKU-1"));
    assert_eq!(entry(&[0x80, 0, 0, 1]), json!("0x80000001"));
}
