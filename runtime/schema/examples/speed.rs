//! How long one core takes to write and read a record of eight fields:
//! `cargo run --release -p tidemill-schema --example speed`.
//!
//! `in order` has its fields in the order of the schema; `reordered` has them the other way round, so that each has to be
//! kept until its turn.

use std::borrow::Cow;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemill_core::codec::Codec;
use tidemill_core::event::{Event, SchemaFile};
use tidemill_schema::{Avro, Field, Record, Shape, Typed};

const ROUNDS: u32 = 2_000_000;

/// Declares one event type over the same schema.
macro_rules! line {
    ($name:ident { $($field:ident: $rust:ty,)* }) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $name { $($field: $rust,)* }

        impl Event for $name {
            const NAME: &'static str = "speed.line";
            const VERSION: u32 = 1;
            const TOPIC: &'static str = "lines";
            const SCHEMAS: &'static [SchemaFile] = &[SchemaFile { version: 1, text: SCHEMA }];
            type Codec = Avro<Self>;

            fn key(&self) -> Option<Cow<'_, [u8]>> {
                None
            }
        }

        impl Typed for $name {
            fn shape() -> Shape {
                Shape::Record(Record {
                    name: stringify!($name),
                    path: stringify!($name),
                    fields: || vec![$(Field {
                        name: stringify!($field),
                        aliases: &[],
                        default: false,
                        shape: <$rust>::shape(),
                    },)*],
                })
            }
        }
    };
}

const SCHEMA: &str = r#"{"type": "record", "name": "Line", "fields": [
    {"name": "invoice", "type": "string"}, {"name": "stock_code", "type": "string"},
    {"name": "description", "type": ["null", "string"]}, {"name": "quantity", "type": "long"},
    {"name": "time", "type": "long"}, {"name": "price", "type": "long"},
    {"name": "customer", "type": ["null", "string"]}, {"name": "country", "type": "string"}]}"#;

line! { InOrder {
    invoice: String,
    stock_code: String,
    description: Option<String>,
    quantity: i64,
    time: i64,
    price: i64,
    customer: Option<String>,
    country: String,
}}

line! { Reordered {
    country: String,
    customer: Option<String>,
    price: i64,
    time: i64,
    quantity: i64,
    description: Option<String>,
    stock_code: String,
    invoice: String,
}}

#[expect(clippy::disallowed_methods, reason = "this program measures, and runs nothing of the runtime")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this program measures, and runs nothing of the runtime")]
fn nanoseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
}

fn measure<E: Event<Codec = Avro<E>>>(what: &str, event: &E) -> io::Result<()>
where
    Avro<E>: Codec<E>,
{
    let codec = Avro::<E>::open().expect("type and schema agree");
    let mut value = Vec::new();
    codec.encode(event, &mut value).expect("the event can be written");
    let value = Bytes::from(value);

    let mut buffer = Vec::with_capacity(value.len());
    let start = now();
    for _ in 0..ROUNDS {
        buffer.clear();
        codec.encode(black_box(event), &mut buffer).expect("it was written before");
        black_box(&buffer);
    }
    let write = nanoseconds(start);

    let start = now();
    for _ in 0..ROUNDS {
        black_box(codec.decode(black_box(&value)).expect("it was written by this codec"));
    }
    let read = nanoseconds(start);
    writeln!(io::stdout(), "{what}: {} bytes, {write:.0} ns to write, {read:.0} ns to read", value.len())
}

fn main() -> io::Result<()> {
    let line = InOrder {
        invoice: "900001".into(),
        stock_code: "T10042".into(),
        description: Some("GREEN TEAPOT WITH A WOODEN HANDLE".into()),
        quantity: 6,
        time: 1_291_200_000_000,
        price: 4_250,
        customer: Some("40001".into()),
        country: "United Kingdom".into(),
    };
    let InOrder { invoice, stock_code, description, quantity, time, price, customer, country } = line.clone();
    measure("in order", &line)?;
    measure("reordered", &Reordered { country, customer, price, time, quantity, description, stock_code, invoice })
}
