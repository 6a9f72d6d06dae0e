use serde::{Deserialize, Serialize};

use super::{decode, encode};

#[derive(Serialize)]
struct Old {
    units: i64,
}

#[derive(Deserialize, Debug, PartialEq)]
struct New {
    units: i64,
    #[serde(default)]
    reserved: i64,
}

#[test]
fn a_field_can_be_added() {
    let stored = encode(&Old { units: 7 }).expect("a plain struct");
    assert_eq!(decode(&stored), Ok(New { units: 7, reserved: 0 }));
}

#[test]
fn another_form_is_named() {
    let error = decode::<i64>(&[9, 1]).expect_err("form 9");
    assert!(error.to_string().contains("form 9"), "{error}");
}
