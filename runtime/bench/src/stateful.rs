//! An Avro event in, a counter per key, an Avro event out: what a small service costs.

use std::sync::Arc;

use tidemill::code::Coded;
use tidemill::limits::Limits;
use tidemill::ports::Broker;
use tidemill::prelude::*;
use tidemill::publisher::{Publication, Publisher};
use tidemill::time::Timestamp;

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
