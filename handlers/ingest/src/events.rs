//! What happened, as the input tells it.

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

/// The topic that all events of an input go to.
pub const TOPIC: &str = "order-lines";

/// One line of an invoice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.order-line-recorded", version = 1, topic = "order-lines", key = invoice)]
pub struct OrderLineRecorded {
    /// The invoice's number.
    pub invoice: String,
    /// The line's number in its input, from 1; the header is not counted.
    pub line: i64,
    /// The product.
    pub stock_code: String,
    /// What the product is called, where the input says so.
    pub description: Option<String>,
    /// Units sold; negative when they came back.
    pub quantity: i64,
    /// When the line was written, in milliseconds since 1970, UTC.
    pub invoice_time: i64,
    /// The price of one unit in thousandths of a pound.
    pub unit_price_milli: i64,
    /// The customer's number, if it is known.
    pub customer: Option<String>,
    /// The customer's country.
    pub country: String,
}

/// The last line of an invoice was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.invoice-closed", version = 1, topic = "order-lines", key = invoice)]
pub struct InvoiceClosed {
    /// The invoice's number.
    pub invoice: String,
    /// How many lines of it the input has.
    pub lines: i64,
}

/// A line could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.line-rejected", version = 1, topic = "order-lines", key = input)]
pub struct LineRejected {
    /// The name of the input.
    pub input: String,
    /// The line's number in its input, from 1; the header is not counted.
    pub line: i64,
    /// What is wrong with it.
    pub reason: String,
}

/// What an invoice is; its number tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Goods were sold.
    Order,
    /// An order was cancelled: the number begins with `C`.
    Cancellation,
    /// The books were adjusted: the number begins with `A`.
    Adjustment,
}

impl Kind {
    /// What the invoice of this number is.
    pub fn of(invoice: &str) -> Self {
        match invoice.as_bytes().first() {
            Some(b'C') => Self::Cancellation,
            Some(b'A') => Self::Adjustment,
            _ => Self::Order,
        }
    }
}
