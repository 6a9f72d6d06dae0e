//! What the checkout tells, and what it tells itself.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

/// An order is reserved, paid and shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.order-confirmed", version = 1, topic = "checkouts", key = order)]
pub struct OrderConfirmed {
    /// The order: its invoice's number.
    pub order: String,
    /// The order's sum in thousandths of a pound.
    pub total_milli: i64,
    /// How many units it has.
    pub units: i64,
}

/// An order came to nothing, and what was done for it is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.order-failed", version = 1, topic = "checkouts", key = order)]
pub struct OrderFailed {
    /// The order: its invoice's number.
    pub order: String,
    /// What it came to, as [`Ending`] is written.
    pub outcome: String,
    /// Why.
    pub reason: String,
}

/// Stock or payment did not answer in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.checkout-overdue", version = 1, codec = json)]
pub struct Overdue {}

/// What an order came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is reserved, paid and shipped.
    Confirmed,
    /// It was not paid.
    Declined,
    /// There was too little of a product.
    OutOfStock,
    /// It was reserved and paid, or nobody answered, and everything was undone.
    Compensated,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::OutOfStock => "out_of_stock",
            Self::Compensated => "compensated",
        })
    }
}
