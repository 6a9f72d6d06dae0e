//! The derives, compiled and run: what they say of a type is what serde does with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidemill::code::{Code, Coded};
use tidemill::codec::{Codec, CodecError};
use tidemill::event::{Event as _, SchemaFile};
use tidemill::prelude::*;
use tidemill::schema::Shape;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Typed)]
#[serde(transparent)]
struct Number(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Typed)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Order,
    BookKeeping,
    #[serde(rename = "back")]
    Cancellation,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Typed)]
#[serde(rename_all = "PascalCase")]
struct Item {
    stock_code: Number,
    kind: Option<Kind>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "demo.order-placed", version = 1, topic = "orders", key = r#type)]
#[serde(rename_all = "camelCase")]
struct OrderPlaced {
    r#type: u32,
    total_milli: i64,
    #[serde(rename = "buyer")]
    customer: Option<Number>,
    items: Vec<Item>,
    by_name: BTreeMap<String, Item>,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
    kind: Kind,
    #[serde(skip)]
    seen: bool,
}

fn order() -> OrderPlaced {
    let item = Item { stock_code: Number("T100".into()), kind: Some(Kind::BookKeeping) };
    OrderPlaced {
        r#type: 7,
        total_milli: -5,
        customer: Some(Number("40001".into())),
        items: vec![item.clone(), Item { kind: None, ..item.clone() }],
        by_name: BTreeMap::from([("a".to_owned(), item)]),
        body: vec![1, 2, 3],
        kind: Kind::Cancellation,
        seen: false,
    }
}

/// The names of a record's fields, as the derive has them.
fn names(shape: &Shape) -> Vec<&'static str> {
    let Shape::Record(record) = shape else { panic!("{shape} is no record") };
    (record.fields)().iter().map(|field| field.name).collect()
}

/// The names under which serde writes a value's fields.
fn serde_names(value: &impl Serialize) -> Vec<String> {
    let value = serde_json::to_value(value).expect("the value can be written as JSON");
    value.as_object().expect("the value is a struct").keys().cloned().collect()
}

#[test]
fn names_are_those_that_serde_writes() {
    let mut found = names(&OrderPlaced::shape());
    found.sort_unstable();
    assert_eq!(found, serde_names(&order()));
    let mut found = names(&Item::shape());
    found.sort_unstable();
    assert_eq!(found, serde_names(&order().items[0]));
    let Shape::Enum(kind) = Kind::shape() else { panic!("it is an enum") };
    let written = [Kind::Order, Kind::BookKeeping, Kind::Cancellation].map(|kind| serde_json::to_value(kind).unwrap());
    assert_eq!(kind.symbols.to_vec(), written);
}

#[test]
fn an_event_is_what_its_attribute_says() {
    assert_eq!(OrderPlaced::NAME, "demo.order-placed");
    assert_eq!((OrderPlaced::VERSION, OrderPlaced::TOPIC), (1, "orders"));
    assert_eq!(OrderPlaced::SCHEMAS, []);
    assert_eq!(order().key().as_deref(), Some(&b"7"[..]));
}

#[test]
fn what_is_written_is_read() {
    let codec = <OrderPlaced as tidemill::event::Event>::Codec::open().unwrap();
    let mut value = Vec::new();
    codec.encode(&order(), &mut value).unwrap();
    assert_eq!(codec.decode(&value.into()).unwrap(), order());
}

/// The catalogue of this project has a schema for this name.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "shop.month-sale", version = 1, topic = "month-sales", key = month)]
struct MonthSale {
    month: String,
    invoice: String,
    amount_milli: i64,
}

/// The same schema, and a type that does not fit it.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "shop.month-sale", version = 1, topic = "month-sales", key = month)]
struct WrongSale {
    month: String,
    invoice: String,
    amount_milli: f64,
}

#[test]
fn schema_files_are_found_and_checked() {
    let on_disk = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/shop/month-sale/v1.avsc");
    let text = std::fs::read_to_string(on_disk).unwrap();
    assert_eq!(MonthSale::SCHEMAS.len(), 1);
    let SchemaFile { version, text: embedded } = MonthSale::SCHEMAS[0];
    assert_eq!((version, embedded), (1, text.as_str()));
    <MonthSale as tidemill::event::Event>::Codec::open().unwrap();

    let error = <WrongSale as tidemill::event::Event>::Codec::open().unwrap_err();
    assert_eq!(error.code, Code::SCHEMA_MISMATCH);
    let message = "shop.month-sale version 1 (schemas/shop/month-sale/v1.avsc): \
                   field amount_milli: the schema has long, the Rust type has f64";
    assert_eq!(error.message, message);
}

/// A type that would be nothing in Avro.
#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "demo.note", version = 1, topic = "notes", codec = json)]
enum Note {
    Text(String),
    Size { size: u64 },
}

#[derive(Debug, PartialEq, Event)]
#[event(name = "demo.body", version = 1, topic = "bodies", codec = raw, key = 0)]
struct Body(Bytes);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

/// One byte.
struct OneByte;

impl Codec<Flag> for OneByte {
    const CONTENT_TYPE: &'static str = "application/x-flag";

    fn open() -> Result<Self, Coded> {
        Ok(Self)
    }

    fn encode(&self, event: &Flag, into: &mut Vec<u8>) -> Result<(), CodecError> {
        into.push(u8::from(event.is_up));
        Ok(())
    }

    fn decode(&self, value: &Bytes) -> Result<Flag, CodecError> {
        Ok(Flag { is_up: value.as_ref() == [1] })
    }
}

#[derive(Debug, PartialEq, Event)]
#[event(name = "demo.flag", version = 1, topic = "flags", codec = crate::OneByte)]
struct Flag {
    is_up: bool,
}

fn written<E: tidemill::event::Event>(event: &E) -> (Vec<u8>, E) {
    let codec = E::Codec::open().expect("the codec has nothing to check");
    let mut value = Vec::new();
    codec.encode(event, &mut value).expect("the event can be written");
    let read = codec.decode(&Bytes::from(value.clone())).expect("it was written by this codec");
    (value, read)
}

#[test]
fn other_codecs_write_in_their_own_form() {
    let (value, read) = written(&Note::Size { size: 3 });
    assert_eq!((value.as_slice(), read), (&br#"{"Size":{"size":3}}"#[..], Note::Size { size: 3 }));
    let (value, read) = written(&Note::Text("a".into()));
    assert_eq!((value.as_slice(), read), (&br#"{"Text":"a"}"#[..], Note::Text("a".into())));
    let body = Body(Bytes::from_static(b"as it is"));
    assert_eq!(body.key().as_deref(), Some(&b"as it is"[..]));
    assert_eq!(written(&body), (b"as it is".to_vec(), body));
    assert_eq!(written(&Flag { is_up: true }), (vec![1], Flag { is_up: true }));
    assert_eq!(Flag { is_up: true }.key(), None);
}

/// Events that a macro declares, with the attribute and the fields from two places.
macro_rules! events {
    ($($(#[$attribute:meta])* $event:ident;)*) => {$(
        $(#[$attribute])*
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct $event {
            invoice: String,
            lines: i64,
        }
    )*};
}

events! {
    #[derive(Event)]
    #[event(name = "demo.opened", version = 1, topic = "invoices", key = invoice)]
    Opened;

    #[derive(Event)]
    #[event(name = "demo.closed", version = 1, topic = "invoices", key = invoice)]
    Closed;
}

#[test]
fn events_can_be_declared_by_a_macro() {
    let opened = Opened { invoice: "1".into(), lines: 2 };
    assert_eq!(opened.key().as_deref(), Some(&b"1"[..]));
    assert_eq!(written(&opened).1, opened);
    let closed = Closed { invoice: "1".into(), lines: 2 };
    assert_ne!(written(&opened).0[..10], written(&closed).0[..10], "each has a schema of its own");
}
