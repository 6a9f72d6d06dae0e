use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Bare,
    Held(i32),
    Named { text: String, more: Option<Box<Kind>> },
}

/// One field of everything JSON has a form for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    tiny: i8,
    wide: u64,
    huge: i128,
    float: f32,
    double: f64,
    letter: char,
    text: String,
    maybe: Option<String>,
    pair: (u16, bool),
    list: Vec<Kind>,
    by_name: BTreeMap<String, Vec<i64>>,
    by_number: BTreeMap<i16, f64>,
    bytes: Vec<u8>,
    nothing: (),
}

/// Bytes that bring their own form.
#[derive(Debug, Clone, PartialEq)]
struct Blob(Bytes);

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

macro_rules! event {
    ($type:ty, $codec:ty) => {
        impl Event for $type {
            const NAME: &'static str = "test.event";
            const VERSION: u32 = 1;
            const TOPIC: &'static str = "test";
            type Codec = $codec;

            fn key(&self) -> Option<Cow<'_, [u8]>> {
                None
            }
        }
    };
}
event!(Everything, Json);
event!(Blob, Raw);

fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![Just(Kind::Bare), any::<i32>().prop_map(Kind::Held)];
    leaf.prop_recursive(4, 8, 1, |inner| {
        (".*", of(inner.prop_map(Box::new))).prop_map(|(text, more)| Kind::Named { text, more })
    })
}

/// Every finite number, each length of a mantissa as likely as any.
fn double() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("JSON has finite numbers only", |double| double.is_finite())
}

fn float() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("JSON has finite numbers only", |float| float.is_finite())
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (any::<bool>(), any::<i8>(), any::<u64>(), any::<i128>(), float(), double());
    let texts = (any::<char>(), ".*", of(".*"), any::<(u16, bool)>());
    let lists = (vec(kind(), 0..4), vec(any::<u8>(), 0..20));
    let maps = (btree_map(".*", vec(any::<i64>(), 0..3), 0..3), btree_map(any::<i16>(), double(), 0..3));
    (numbers, texts, lists, maps).prop_map(|(numbers, texts, lists, maps)| {
        let (flag, tiny, wide, huge, float, double) = numbers;
        let (letter, text, maybe, pair) = texts;
        let ((list, bytes), (by_name, by_number)) = (lists, maps);
        Everything {
            flag,
            tiny,
            wide,
            huge,
            float,
            double,
            letter,
            text,
            maybe,
            pair,
            list,
            by_name,
            by_number,
            bytes,
            nothing: (),
        }
    })
}

fn encoded<E: Event>(event: &E) -> Bytes {
    let mut into = b"before".to_vec();
    E::Codec::open().expect("it needs nothing").encode(event, &mut into).expect("it has a form");
    assert!(into.starts_with(b"before"), "what stood there stays");
    Bytes::from(into).slice(6..)
}

fn decoded<E: Event>(value: &Bytes) -> Result<E, CodecError> {
    E::Codec::open().expect("it needs nothing").decode(value)
}

proptest! {
    #[test]
    fn everything_that_is_written_is_read(event in everything(), bytes in vec(any::<u8>(), 0..60)) {
        prop_assert_eq!(decoded::<Everything>(&encoded(&event)), Ok(event));
        let blob = Blob(bytes.into());
        prop_assert_eq!(&encoded(&blob), &blob.0);
        prop_assert_eq!(decoded::<Blob>(&blob.0), Ok(blob));
    }

    /// Bytes that nobody wrote, texts that are nearly JSON, and values with a byte changed or cut.
    #[test]
    fn any_bytes_are_answered(
        bytes in vec(any::<u8>(), 0..100),
        text in r#"[\[\]{}:,"\\0-9eE+.a-z -]{0,60}"#,
        event in everything(),
        change in any::<(proptest::sample::Index, u8)>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let whole = encoded(&event);
        let mut changed = whole.to_vec();
        let at = change.0.index(changed.len());
        changed[at] = change.1;
        for value in [bytes, text.into_bytes(), changed] {
            // Whatever is read can be written and is then the same.
            if let Ok(event) = decoded::<Everything>(&value.into()) {
                prop_assert_eq!(decoded::<Everything>(&encoded(&event)), Ok(event));
            }
        }
        let cut = whole.slice(..cut.index(whole.len()));
        prop_assert!(decoded::<Everything>(&cut).is_err(), "a part is not the whole");
    }
}

#[test]
fn depth_does_not_end_the_process() {
    let deep = r#"{"list":"#.repeat(100_000);
    assert!(decoded::<Everything>(&deep.into()).is_err());
}
