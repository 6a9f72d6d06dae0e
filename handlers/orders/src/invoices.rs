//! Gathers the lines of an invoice until it is closed.

use clap::ValueEnum;
use ingest::{InvoiceClosed, Kind, OrderLineRecorded};
use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::time::Timestamp;

use crate::{OrderAdjusted, OrderCancelled, OrderItem, OrderPlaced};

/// Owns the lines of open invoices and the outcome of closed ones, by invoice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Invoices {
    /// What is wrong with this build, if anything is.
    pub bug: Option<Bug>,
}

/// A bug that can be built in, for a replay to find (docs/REPLAY.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// Each item is cut to what can be paid in cash, and not the whole order.
    WrongRounding,
}

/// The smallest coin that is left, in thousandths of a pound.
const FIVE_PENCE: i64 = 50;

impl Invoices {
    fn total_milli(self, items: &[OrderItem]) -> i64 {
        let amounts = items.iter().map(OrderItem::amount_milli);
        match self.bug {
            None => amounts.sum(),
            Some(Bug::WrongRounding) => amounts.map(|amount| amount / FIVE_PENCE * FIVE_PENCE).sum(),
        }
    }
}

/// The lines of an open invoice, by their number in the input.
const LINES: Map<i64, Line> = Map::named("lines");
/// What a closed invoice turned out to be.
pub const OUTCOME: Cell<Outcome> = Cell::named("outcome");

/// One line of an open invoice.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    item: OrderItem,
    customer: Option<String>,
    country: String,
    at: i64,
}

/// What a closed invoice turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// An order, a cancellation or an adjustment.
    pub kind: Kind,
    /// How many lines it had.
    pub lines: i64,
    /// The sum of its items in thousandths of a pound.
    pub total_milli: i64,
}

#[async_trait(?Send)]
impl Handler<OrderLineRecorded> for Invoices {
    async fn handle(&self, line: &OrderLineRecorded, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let item = OrderItem {
            stock_code: line.stock_code.clone(),
            quantity: line.quantity,
            unit_price_milli: line.unit_price_milli,
            month: month_of(line.invoice_time),
        };
        let entry =
            Line { item, customer: line.customer.clone(), country: line.country.clone(), at: line.invoice_time };
        cx.map(LINES).insert(&line.line, &entry);
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<InvoiceClosed> for Invoices {
    async fn handle(&self, closed: &InvoiceClosed, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let lines = cx.map(LINES).range(..).await?;
        let Some((_, first)) = lines.first() else {
            return Err(HandlerError::permanent(format!("invoice {} is closed without a line", closed.invoice)));
        };
        let (customer, country, at) = (first.customer.clone(), first.country.clone(), first.at);
        let kind = Kind::of(&closed.invoice);
        let (numbers, items): (Vec<i64>, Vec<OrderItem>) =
            lines.into_iter().map(|(number, line)| (number, line.item)).unzip();
        let total_milli = self.total_milli(&items);
        let count = i64::try_from(items.len())?;
        cx.set(OUTCOME, Outcome { kind, lines: count, total_milli });
        for number in numbers {
            cx.map(LINES).remove(&number);
        }
        let invoice = closed.invoice.clone();
        match kind {
            Kind::Order => cx.emit(OrderPlaced { invoice, customer, country, at, lines: count, items, total_milli }),
            Kind::Cancellation => {
                cx.emit(OrderCancelled { invoice, customer, country, at, lines: count, items, total_milli });
            }
            Kind::Adjustment => {
                cx.emit(OrderAdjusted { invoice, customer, country, at, lines: count, items, total_milli });
            }
        }
        Ok(())
    }
}

/// The month of a time in milliseconds since 1970, such as `2010-12`.
fn month_of(time: i64) -> String {
    const YEAR_AND_MONTH: usize = "2010-12".len();
    let mut text = Timestamp::from_millis(time).to_string();
    text.truncate(YEAR_AND_MONTH);
    text
}

#[cfg(test)]
mod tests;
