//! The shop's payments: authorises what the checkout asks for, and charges each order at a bank. The bank is made up, and fails where a seed
//! says so.

mod authorisations;
mod bank;

use std::time::Duration;

use orders::OrderPlaced;
use serde::{Deserialize, Serialize};
use tidemill::failure::{ErrorClass, Policies};
use tidemill::prelude::*;
use tidemill::retry::Retry;

pub use authorisations::{
    AUTHORISED, Authorisations, AuthorisePayment, PaymentAuthorised, PaymentDeclined, PaymentRefunded, RefundPayment,
};
pub use bank::{Bank, Fault};

/// The service's name, which is its group's name too.
pub const NAME: &str = "payments";
/// The handler that authorises payments.
pub const AUTHORISATIONS: &str = "authorisations";
/// The handler that charges orders.
pub const CHARGES: &str = "charges";
/// What became of the charge for an order.
pub const PAYMENT: Cell<Payment> = Cell::named("payment");
/// Attempts in place; whoever needs more was parked.
pub const ATTEMPTS_IN_PLACE: u32 = 3;

/// What the bank is called among the things that are needed.
const BANK: &str = "bank";
/// How long the bank may take.
const PATIENCE: Duration = Duration::from_millis(200);

/// A charge that went through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// What was charged, in thousandths of a pound.
    pub amount_milli: i64,
    /// How many attempts it took.
    pub attempts: u32,
}

/// Charges orders.
#[derive(Debug, Clone, Copy)]
pub struct Charges {
    bank: Bank,
}

#[async_trait(?Send)]
impl Handler<OrderPlaced> for Charges {
    async fn handle(&self, order: &OrderPlaced, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        // A real bank would be given `cx.idempotency_key()`, so that it charges once however often it is asked.
        self.bank.charge(&order.invoice, cx.attempt()).await?;
        cx.set(PAYMENT, Payment { amount_milli: order.total_milli, attempts: cx.attempt() });
        Ok(())
    }
}

/// What follows when the bank fails: soon another attempt or two, then some from parking.
fn policies() -> Policies {
    let millis = Duration::from_millis;
    let in_place = Retry { attempts: ATTEMPTS_IN_PLACE, first_delay: millis(5), longest_delay: millis(20) };
    let mut policies = Policies::default().with_retry(&in_place);
    for class in [ErrorClass::Transient, ErrorClass::Timeout] {
        policies.of_mut(class).delayed = Retry { attempts: 6, first_delay: millis(200), longest_delay: millis(800) };
    }
    policies
}

/// The service, with a bank that fails where the seed says so, or never.
pub fn service(seed: Option<u64>) -> ServiceBuilder {
    Service::builder(NAME)
        .handler(CHARGES, Charges { bank: Bank::new(seed) }, |handler| {
            handler.on::<OrderPlaced>().needs(BANK).failures(policies()).timeout(PATIENCE)
        })
        .handler(AUTHORISATIONS, Authorisations, |handler| handler.on::<AuthorisePayment>().on::<RefundPayment>())
        // What else stands in the topic is not paid for.
        .ignore_unknown("orders")
        .emits::<PaymentAuthorised>()
        .emits::<PaymentDeclined>()
        .emits::<PaymentRefunded>()
}

#[cfg(test)]
mod tests;
