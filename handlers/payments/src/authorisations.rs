//! Whether the shop gets its money for an order: authorised before it is shipped, and given back where it is not.

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

/// What is authorised for an order, in thousandths of a pound.
pub const AUTHORISED: Cell<i64> = Cell::named("authorised");

/// The payment for an order is to be authorised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.authorise-payment", version = 1, topic = "payment-commands", key = order)]
pub struct AuthorisePayment {
    /// The order: its invoice's number.
    pub order: String,
    /// The customer's number, if it is known.
    pub customer: Option<String>,
    /// The order's sum in thousandths of a pound.
    pub amount_milli: i64,
}

/// What was authorised for an order is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.refund-payment", version = 1, topic = "payment-commands", key = order)]
pub struct RefundPayment {
    /// The order: its invoice's number.
    pub order: String,
}

/// The payment for an order is authorised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.payment-authorised", version = 1, topic = "payment-replies", key = order)]
pub struct PaymentAuthorised {
    /// The order: its invoice's number.
    pub order: String,
    /// What was authorised, in thousandths of a pound.
    pub amount_milli: i64,
}

/// The payment for an order is declined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.payment-declined", version = 1, topic = "payment-replies", key = order)]
pub struct PaymentDeclined {
    /// The order: its invoice's number.
    pub order: String,
    /// Why.
    pub reason: String,
}

/// What was authorised for an order was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.payment-refunded", version = 1, topic = "payment-replies", key = order)]
pub struct PaymentRefunded {
    /// The order: its invoice's number.
    pub order: String,
    /// In thousandths of a pound; nothing where nothing was authorised.
    pub amount_milli: i64,
}

/// Authorises payments of customers who are known.
#[derive(Debug, Clone, Copy)]
pub struct Authorisations;

#[async_trait(?Send)]
impl Handler<AuthorisePayment> for Authorisations {
    async fn handle(&self, wanted: &AuthorisePayment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let AuthorisePayment { order, customer, amount_milli } = wanted.clone();
        if customer.is_none() {
            cx.reply(PaymentDeclined { order, reason: "no customer".to_owned() });
        } else {
            cx.set(AUTHORISED, amount_milli);
            cx.reply(PaymentAuthorised { order, amount_milli });
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<RefundPayment> for Authorisations {
    async fn handle(&self, refund: &RefundPayment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let amount_milli = cx.get(AUTHORISED).await?.unwrap_or(0);
        cx.clear(AUTHORISED);
        cx.reply(PaymentRefunded { order: refund.order.clone(), amount_milli });
        Ok(())
    }
}
