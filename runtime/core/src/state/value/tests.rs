use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Bare,
    Held(u8),
    Both(i64, String),
    Named { text: String, more: Option<Box<Kind>> },
}

/// One field of everything a value may hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    small: (i8, u8, i16, u16),
    wide: (i32, u32, i64, u64),
    huge: (i128, u128),
    float: f32,
    double: f64,
    letter: char,
    text: String,
    maybe: Option<Vec<u8>>,
    list: Vec<Kind>,
    by_name: BTreeMap<String, Option<i64>>,
    by_number: BTreeMap<i32, Vec<String>>,
    nothing: (),
}

fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Bare),
        any::<u8>().prop_map(Kind::Held),
        (any::<i64>(), ".*").prop_map(|(number, text)| Kind::Both(number, text)),
    ];
    leaf.prop_recursive(4, 8, 1, |inner| {
        (".*", of(inner.prop_map(Box::new))).prop_map(|(text, more)| Kind::Named { text, more })
    })
}

fn everything() -> impl Strategy<Value = Everything> {
    let floats = (any::<u32>().prop_map(f32::from_bits), any::<u64>().prop_map(f64::from_bits));
    let floats =
        floats.prop_filter("a number is equal to itself", |(float, double)| !float.is_nan() && !double.is_nan());
    let texts = (any::<bool>(), any::<char>(), ".*", of(vec(any::<u8>(), 0..300)));
    let lists = (
        vec(kind(), 0..20),
        btree_map(".*", any::<Option<i64>>(), 0..20),
        btree_map(any::<i32>(), vec(".*", 0..2), 0..3),
    );
    (any::<(i8, u8, i16, u16)>(), any::<(i32, u32, i64, u64)>(), any::<(i128, u128)>(), floats, texts, lists).prop_map(
        |(small, wide, huge, (float, double), (flag, letter, text, maybe), (list, by_name, by_number))| Everything {
            flag,
            small,
            wide,
            huge,
            float,
            double,
            letter,
            text,
            maybe,
            list,
            by_name,
            by_number,
            nothing: (),
        },
    )
}

/// Reads bytes as a type; what is read can be written and is then the same.
fn answered<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = decode::<T>(bytes) {
        let stored = encode(&value).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(decode::<T>(&stored), Ok(value));
    }
    Ok(())
}

proptest! {
    #[test]
    fn everything_that_is_written_is_read(value in everything()) {
        let stored = encode(&value).expect("it has a form");
        prop_assert_eq!(decode::<Everything>(&stored), Ok(value));
    }

    /// Bytes that nobody wrote, and values with a byte changed: a value or an error, and a count is not believed.
    #[test]
    fn any_bytes_are_answered(
        bytes in vec(prop_oneof![Just(0xc1_u8), 0x80_u8..0xa0, 0xc0_u8..0xe0, any::<u8>()], 0..80),
        value in everything(),
        change in any::<(proptest::sample::Index, u8)>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let whole = encode(&value).expect("it has a form");
        let mut changed = whole.clone();
        let at = change.0.index(changed.len());
        changed[at] = change.1;
        for bytes in [[&[1], &bytes[..]].concat(), bytes, changed] {
            answered::<String>(&bytes)?;
            answered::<Vec<u64>>(&bytes)?;
            answered::<BTreeMap<String, Kind>>(&bytes)?;
            answered::<Option<(i64, bool)>>(&bytes)?;
            let _ = decode::<Everything>(&bytes);
        }
        prop_assert!(decode::<Everything>(&whole[..cut.index(whole.len())]).is_err(), "a part is not the whole");
    }
}
