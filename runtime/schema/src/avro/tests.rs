use std::borrow::Cow;

use proptest::prelude::*;
use serde::Deserialize;
use tidemill_core::event::SchemaFile;

use super::*;
use crate::typed::{Choice, Field, Record};

mod framed;
mod hostile;
mod versions;

/// Implements for a struct what the derives would.
macro_rules! typed {
    ($type:ty { $($(#[default $default:literal])? $field:ident: $shape:expr),* $(,)? }) => {
        impl Typed for $type {
            fn shape() -> Shape {
                let fields = || vec![$(Field {
                    name: stringify!($field),
                    aliases: &[],
                    default: false $(|| $default)?,
                    shape: $shape,
                },)*];
                Shape::Record(Record { name: stringify!($type), path: stringify!($type), fields })
            }
        }
    };
}
pub(super) use typed;

macro_rules! event {
    ($type:ty, $name:literal, $version:literal, [$($number:literal: $text:expr),*]) => {
        impl Event for $type {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;
            const TOPIC: &'static str = "topic";
            const SCHEMAS: &'static [SchemaFile] = &[$(SchemaFile { version: $number, text: $text }),*];
            type Codec = Avro<Self>;

            fn key(&self) -> Option<Cow<'_, [u8]>> {
                None
            }
        }
    };
}
pub(super) use event;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Kind {
    New,
    #[serde(rename = "Second_hand")]
    Used,
}

impl Typed for Kind {
    fn shape() -> Shape {
        Shape::Enum(Choice { name: "Kind", path: "Kind", symbols: &["New", "Second_hand"], aliases: &[] })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    code: String,
    kind: Option<Kind>,
}
typed!(Item { code: String::shape(), kind: Option::<Kind>::shape() });

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Number(String);

/// One field of everything there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    tiny: i8,
    small: u16,
    int: i32,
    wide: u32,
    long: i64,
    float: f32,
    double: f64,
    text: String,
    #[serde(with = "serde_bytes")]
    raw: Vec<u8>,
    bytes: Bytes,
    numbers: Vec<u8>,
    kind: Kind,
    code: Option<Number>,
    maybe_wide: Option<u32>,
    maybe_tiny: Option<i8>,
    maybe_float: Option<f32>,
    maybe_bytes: Option<Bytes>,
    maybe_numbers: Option<Vec<i64>>,
    maybe_map: Option<BTreeMap<String, Item>>,
    first: Option<Item>,
    items: Vec<Item>,
    by_name: BTreeMap<String, Vec<Item>>,
    boxed: Box<i64>,
}
typed!(Everything {
    flag: bool::shape(),
    tiny: i8::shape(),
    small: u16::shape(),
    int: i32::shape(),
    wide: u32::shape(),
    long: i64::shape(),
    float: f32::shape(),
    double: f64::shape(),
    text: String::shape(),
    raw: Shape::Bytes,
    bytes: Bytes::shape(),
    numbers: Vec::<u8>::shape(),
    kind: Kind::shape(),
    code: Option::<String>::shape(),
    maybe_wide: Option::<u32>::shape(),
    maybe_tiny: Option::<i8>::shape(),
    maybe_float: Option::<f32>::shape(),
    maybe_bytes: Option::<Bytes>::shape(),
    maybe_numbers: Option::<Vec<i64>>::shape(),
    maybe_map: Option::<BTreeMap<String, Item>>::shape(),
    first: Option::<Item>::shape(),
    items: Vec::<Item>::shape(),
    by_name: BTreeMap::<String, Vec<Item>>::shape(),
    boxed: Box::<i64>::shape(),
});
event!(Everything, "test.everything", 1, []);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sale {
    country: String,
    amount: i64,
    note: Option<String>,
}
typed!(Sale { country: String::shape(), amount: i64::shape(), note: Option::<String>::shape() });
event!(Sale, "test.sale", 1, [1: r#"{"type": "record", "name": "Sale", "namespace": "test", "fields": [
    {"name": "country", "type": "string"}, {"name": "amount", "type": "long"},
    {"name": "note", "type": ["null", "string"]}]}"#]);

fn item() -> impl Strategy<Value = Item> {
    (".*", proptest::option::of(prop_oneof![Just(Kind::New), Just(Kind::Used)]))
        .prop_map(|(code, kind)| Item { code, kind })
}

fn everything() -> impl Strategy<Value = Everything> {
    use proptest::collection::{btree_map, vec};
    let numbers = (any::<bool>(), any::<i8>(), any::<u16>(), any::<i32>(), any::<u32>(), any::<i64>());
    let floats = (-1e30f32..1e30, -1e300f64..1e300, proptest::option::of(-1f32..1.0));
    let texts = (".*", vec(any::<u8>(), 0..20), proptest::option::of(".*"));
    let options = (any::<Option<u32>>(), any::<Option<i8>>(), any::<Option<Vec<i64>>>(), any::<Option<Vec<u8>>>());
    let maps = (btree_map(".*", vec(item(), 0..3), 0..3), proptest::option::of(btree_map(".*", item(), 0..3)));
    let items = (vec(item(), 0..5), proptest::option::of(item()));
    (numbers, floats, texts, options, maps, items).prop_map(|(numbers, floats, texts, options, maps, items)| {
        let (flag, tiny, small, int, wide, long) = numbers;
        Everything {
            flag,
            tiny,
            small,
            int,
            wide,
            long,
            float: floats.0,
            double: floats.1,
            text: texts.0,
            raw: texts.1.clone(),
            bytes: Bytes::from(texts.1.clone()),
            numbers: texts.1,
            kind: if flag { Kind::New } else { Kind::Used },
            code: texts.2.map(Number),
            maybe_wide: options.0,
            maybe_tiny: options.1,
            maybe_float: floats.2,
            maybe_bytes: options.3.map(Bytes::from),
            maybe_numbers: options.2,
            maybe_map: maps.1,
            first: items.1,
            items: items.0,
            by_name: maps.0,
            boxed: Box::new(long),
        }
    })
}

fn encoded<E: Event<Codec = Avro<E>>>(event: &E) -> Vec<u8>
where
    Avro<E>: Codec<E>,
{
    let mut into = Vec::new();
    Avro::<E>::open().unwrap().encode(event, &mut into).unwrap();
    into
}

#[test]
fn a_value_is_marker_fingerprint_and_fields() {
    let sale = Sale { country: "France".into(), amount: -3, note: Some("é".into()) };
    let mut into = b"before".to_vec();
    Avro::open().unwrap().encode(&sale, &mut into).unwrap();
    let fingerprint: serde_avro_fast::Schema = Sale::SCHEMAS[0].text.parse().unwrap();
    let mut expected = b"before\xC3\x01".to_vec();
    expected.extend_from_slice(fingerprint.rabin_fingerprint());
    expected.extend_from_slice(b"\x0CFrance\x05\x02\x04\xC3\xA9");
    assert_eq!(into, expected);
}

#[test]
fn another_reader_of_avro_reads_our_fields() {
    let sale = Sale { country: "France".into(), amount: 70_000, note: None };
    let schema = apache_avro::Schema::parse_str(Sale::SCHEMAS[0].text).unwrap();
    let value = encoded(&sale);
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
    assert_eq!(reader.read_deser::<Sale>(&mut &value[10..]).unwrap(), sale);
}

#[test]
fn an_event_type_is_opened_once() {
    let (first, second) = (Avro::<Sale>::open().unwrap(), Avro::<Sale>::open().unwrap());
    assert!(std::ptr::eq(first.plan, second.plan));
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Odd {
        name: String,
        body: Bytes,
    }
    typed!(Odd { name: String::shape(), body: Bytes::shape() });
    event!(Odd, "test.odd", 1, [1: r#"{"type": "record", "name": "Odd", "fields": [{"name": "name", "type": "string"},
        {"name": "body", "type": {"type": "fixed", "name": "Body", "size": 4}}]}"#]);
    let codec = Avro::<Odd>::open().unwrap();
    let mut into = b"before".to_vec();
    let error = codec.encode(&Odd { name: "n".into(), body: Bytes::from_static(b"12345") }, &mut into).unwrap_err();
    assert!(error.0.starts_with("test.odd version 1 cannot be written: "), "{error}");
    assert_eq!(into, b"before");
    codec.encode(&Odd { name: "n".into(), body: Bytes::from_static(b"1234") }, &mut into).unwrap();
}

#[test]
fn only_structs_are_events() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Bare(i64);
    impl Typed for Bare {
        fn shape() -> Shape {
            i64::shape()
        }
    }
    event!(Bare, "test.bare", 1, []);
    let error = Avro::<Bare>::open().unwrap_err();
    assert_eq!(error.to_string(), "TM-0403: test.bare: i64 is no struct with named fields");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Floats {
    float: f32,
    double: f64,
    list: Vec<f64>,
}
typed!(Floats { float: f32::shape(), double: f64::shape(), list: Vec::<f64>::shape() });
event!(Floats, "test.floats", 1, []);

proptest! {
    #[test]
    fn everything_that_is_written_is_read(event in everything()) {
        let value = Bytes::from(encoded(&event));
        prop_assert_eq!(Avro::<Everything>::open().unwrap().decode(&value).unwrap(), event);
    }

    /// The library that Avro's own project makes reads the same from the schema that is made from the type.
    #[test]
    fn another_reader_of_avro_reads_everything(event in everything()) {
        let text = from_type::schema(Everything::NAME, &Everything::shape()).unwrap();
        let schema = apache_avro::Schema::parse_str(&text).unwrap();
        let value = encoded(&event);
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
        let mut fields = &value[10..];
        prop_assert_eq!(reader.read_deser::<Everything>(&mut fields).unwrap(), event);
        prop_assert!(fields.is_empty());
    }

    /// Every bit of a number, also of the infinite ones and of those that are none.
    #[test]
    fn floats_keep_their_bits(float: u32, double: u64, list in proptest::collection::vec(any::<u64>(), 0..5)) {
        let list: Vec<f64> = list.into_iter().map(f64::from_bits).collect();
        let event = Floats { float: f32::from_bits(float), double: f64::from_bits(double), list };
        let read = Avro::<Floats>::open().unwrap().decode(&encoded(&event).into()).unwrap();
        prop_assert_eq!((read.float.to_bits(), read.double.to_bits()), (float, double));
        let bits = |list: &[f64]| list.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&read.list), bits(&event.list));
    }
}
