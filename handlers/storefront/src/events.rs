//! What the storefront tells, made of its orders.

use orders::{OrderRequested, RequestedLine};

use crate::order::Order;

impl From<&Order> for OrderRequested {
    fn from(order: &Order) -> Self {
        let line = |line: &crate::order::Line| RequestedLine {
            stock_code: line.stock_code.clone(),
            quantity: line.quantity,
            unit_price_milli: line.unit_price_milli,
        };
        Self {
            order: order.id.clone(),
            customer: order.customer.clone(),
            country: order.country.clone(),
            at: order.at,
            lines: order.lines.iter().map(line).collect(),
            total_milli: order.total_milli,
        }
    }
}
