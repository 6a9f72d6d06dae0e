//! What comes from the storefront. The contract lies here, so that whoever reads it needs no HTTP.

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

/// An order was placed at the storefront: somebody wants these goods. Whether they get them is decided by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.order-requested", version = 1, topic = "storefront-orders", key = order)]
pub struct OrderRequested {
    /// The order's id.
    pub order: String,
    /// The customer's number, if it is known.
    pub customer: Option<String>,
    /// The customer's country.
    pub country: String,
    /// When the order was placed, in milliseconds since 1970.
    pub at: i64,
    /// What is wanted, in the order in which it was asked for.
    pub lines: Vec<RequestedLine>,
    /// The sum of the lines in thousandths of a pound.
    pub total_milli: i64,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Typed)]
pub struct RequestedLine {
    /// The product.
    pub stock_code: String,
    /// Units wanted.
    pub quantity: i64,
    /// The price of one unit in thousandths of a pound.
    pub unit_price_milli: i64,
}
