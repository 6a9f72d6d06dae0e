//! What the service tells about invoices.

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

/// One item of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Typed)]
pub struct OrderItem {
    /// The product.
    pub stock_code: String,
    /// Units sold; negative when they came back.
    pub quantity: i64,
    /// The price of one unit in thousandths of a pound.
    pub unit_price_milli: i64,
    /// The month of the line, such as `2010-12`: the lines of one invoice may lie in two.
    pub month: String,
}

impl OrderItem {
    /// What the item comes to, in thousandths of a pound.
    pub fn amount_milli(&self) -> i64 {
        self.quantity * self.unit_price_milli
    }
}

/// What is the same for all three kinds of closed invoices.
pub trait Invoice {
    /// The invoice's number.
    fn invoice(&self) -> &str;
    /// The customer's country.
    fn country(&self) -> &str;
    /// The items, in the order of their lines.
    fn items(&self) -> &[OrderItem];
}

/// Three events of one form, so that each has its own name, schema and history.
macro_rules! invoice_events {
    ($($(#[$attribute:meta])* $event:ident;)*) => {$(
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $event {
            /// The invoice's number.
            pub invoice: String,
            /// The customer's number, if it is known.
            pub customer: Option<String>,
            /// The customer's country.
            pub country: String,
            /// The time of the first line, in milliseconds since 1970.
            pub at: i64,
            /// How many lines the invoice has.
            pub lines: i64,
            /// The items, in the order of their lines.
            pub items: Vec<OrderItem>,
            /// The sum of the items in thousandths of a pound.
            pub total_milli: i64,
        }

        impl Invoice for $event {
            fn invoice(&self) -> &str {
                &self.invoice
            }

            fn country(&self) -> &str {
                &self.country
            }

            fn items(&self) -> &[OrderItem] {
                &self.items
            }
        }
    )*};
}

invoice_events! {
    /// An order was accepted.
    #[derive(Event)]
    #[event(name = "shop.order-placed", version = 1, topic = "orders", key = invoice)]
    OrderPlaced;

    /// An order was cancelled: goods came back.
    #[derive(Event)]
    #[event(name = "shop.order-cancelled", version = 1, topic = "orders", key = invoice)]
    OrderCancelled;

    /// The books were adjusted: no goods moved hands.
    #[derive(Event)]
    #[event(name = "shop.order-adjusted", version = 1, topic = "orders", key = invoice)]
    OrderAdjusted;
}
