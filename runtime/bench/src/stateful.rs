//! An Avro event in, a counter per key, an Avro event out: what a small service costs.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use tidemill::code::Coded;
use tidemill::limits::Limits;
use tidemill::ports::Broker;
use tidemill::prelude::*;
use tidemill::publisher::{Publication, Publisher};
use tidemill::time::Timestamp;
use tidemill_core::codec::Codec;
use tidemill_core::headers::Headers;
use tidemill_kafka::raw::{Work, Written};

use crate::case::{BEGIN_MILLIS, PUBLISHED_BYTES, key_of};

pub(crate) const NAME: &str = "stateful";
pub(crate) const INPUT: &str = LineSold::TOPIC;
pub(crate) const OUTPUT: &str = LineCounted::TOPIC;

/// How many lines a customer has.
const LINES: Cell<i64> = Cell::named("lines");

/// A line of an order was sold. As Avro it has 77 bytes.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "bench.line-sold", version = 1, topic = "bench-lines", key = customer)]
struct LineSold {
    invoice: String,
    stock_code: String,
    description: Option<String>,
    quantity: i64,
    at: i64,
    price_milli: i64,
    customer: String,
    country: String,
}

/// It was counted.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "bench.line-counted", version = 1, topic = "bench-counts", key = customer)]
struct LineCounted {
    customer: String,
    invoice: String,
    lines: i64,
    amount_milli: i64,
}

async fn count(line: &LineSold, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let lines = cx.get(LINES).await?.unwrap_or(0) + 1;
    cx.set(LINES, lines);
    cx.emit(LineCounted {
        customer: line.customer.clone(),
        invoice: line.invoice.clone(),
        lines,
        amount_milli: line.quantity * line.price_milli,
    });
    Ok(())
}

pub(crate) fn service() -> ServiceBuilder {
    // All counters stay in memory.
    let limits = Limits { state_cache: 64 * 1024 * 1024, ..Limits::default() };
    Service::builder(NAME).limits(limits).on::<LineSold>("count", count).emits::<LineCounted>()
}

/// The same in a bare loop, which keeps its counters in a map.
pub(crate) struct Counts {
    lines: HashMap<String, i64, FixedState>,
    read: <LineSold as Event>::Codec,
    write: <LineCounted as Event>::Codec,
    /// Those that the service's own records have.
    headers: Headers,
    key: String,
    value: Vec<u8>,
}

impl Counts {
    pub(crate) fn new(headers: Headers) -> Result<Self, Coded> {
        let (read, write) = (Codec::<LineSold>::open()?, Codec::<LineCounted>::open()?);
        Ok(Self { lines: HashMap::default(), read, write, headers, key: String::new(), value: Vec::new() })
    }
}

impl Work for Counts {
    fn on<'a>(&'a mut self, _key: Option<&'a [u8]>, value: &'a [u8]) -> Written<'a> {
        let line: LineSold = self.read.decode(&Bytes::copy_from_slice(value)).expect("the input is of this case");
        let lines = self.lines.entry(line.customer.clone()).or_default();
        *lines += 1;
        let amount_milli = line.quantity * line.price_milli;
        let counted = LineCounted { customer: line.customer, invoice: line.invoice, lines: *lines, amount_milli };
        self.value.clear();
        self.write.encode(&counted, &mut self.value).expect("a plain event");
        self.key = counted.customer;
        Written { key: Some(self.key.as_bytes()), value: &self.value, headers: &self.headers }
    }
}

/// Publishes the input with all headers, as a program with a publisher does.
pub(crate) async fn publish(broker: &Arc<dyn Broker>, records: u64) -> Result<(), Coded> {
    let mut publisher = Publisher::new(Arc::clone(broker), "/tidemill/bench");
    publisher.declare::<LineSold>().await?;
    for number in 0..records {
        let event = line(number);
        let time = Timestamp::from_millis(event.at);
        publisher.publish(Publication { event: &event, id: &number.to_string(), time })?;
        if publisher.pending_bytes() >= PUBLISHED_BYTES {
            publisher.flush().await?;
        }
    }
    publisher.flush().await
}

/// The line of this number: ten lines an invoice, whose customers follow from their numbers alone.
fn line(number: u64) -> LineSold {
    /// The first numbers of six digits.
    const SIX_DIGITS: u64 = 100_000;
    let small = |bound: u64| i64::try_from(number % bound).expect("below its bound");
    LineSold {
        invoice: (SIX_DIGITS + number / 10 % SIX_DIGITS).to_string(),
        stock_code: format!("T{:05}", number % 5_000),
        description: Some("GREEN TEAPOT, WOODEN".into()),
        quantity: 1 + small(12),
        at: BEGIN_MILLIS.saturating_add_unsigned(number),
        price_milli: 1_000 + small(5_000),
        customer: (SIX_DIGITS + key_of(number)).to_string(),
        country: "United Kingdom".into(),
    }
}

#[cfg(test)]
mod tests;
