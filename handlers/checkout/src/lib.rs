//! The shop's checkout: a saga that takes each order through stock, payment and shipping, and undoes what it did where one of them says no.

mod events;
mod steps;

use std::time::Duration;

use inventory::{ReleaseStock, ReserveStock, StockRefused, StockReserved};
use orders::{OrderPlaced, OrderRequested};
use payments::{AuthorisePayment, PaymentAuthorised, PaymentDeclined, RefundPayment};
use shipping::{OrderShipped, ShipOrder, ShippingFailed};
use tidemill::prelude::*;
use tidemill::saga::{Leads, Missing, SagaBuilder};

pub use events::{Ending, OrderConfirmed, OrderFailed, Overdue};
pub use steps::{Checkout, OUTCOME, Order, Outcome, Paying, Reserving, Shipping};

/// The service's name, which is its group's name too.
pub const NAME: &str = "checkout";
/// The saga.
pub const SAGA: &str = "checkout";
/// What confirmed orders end with.
pub const CONFIRMED: &str = "confirmed";

/// How long stock and payment may take. Shipping may take as long as it does.
pub const PATIENCE: Duration = Duration::from_mins(15);

fn saga(saga: SagaBuilder<Checkout>) -> SagaBuilder<Checkout> {
    let (reserving, paying, shipping) = (Leads::to::<Reserving>(), Leads::to::<Paying>(), Leads::to::<Shipping>());
    saga.begins_with::<OrderPlaced>([reserving, paying])
        .begins_with::<OrderRequested>([reserving])
        .state::<Reserving>(|state| {
            let state = state.on::<StockReserved>([reserving, paying]).on::<StockRefused>([Leads::abort()]);
            let state = state.on::<Overdue>([Leads::abort()]).ignore::<OrderPlaced>().ignore::<OrderRequested>();
            let state = state.ignore::<PaymentAuthorised>().ignore::<PaymentDeclined>();
            state.ignore::<OrderShipped>().ignore::<ShippingFailed>()
        })
        .state::<Paying>(|state| {
            let state = state.on::<PaymentAuthorised>([shipping]).on::<PaymentDeclined>([Leads::abort()]);
            let state = state.on::<Overdue>([Leads::abort()]).ignore::<OrderPlaced>().ignore::<OrderRequested>();
            let state = state.ignore::<StockReserved>().ignore::<StockRefused>();
            state.ignore::<OrderShipped>().ignore::<ShippingFailed>()
        })
        .state::<Shipping>(|state| {
            let state = state.on::<OrderShipped>([Leads::end(CONFIRMED)]).on::<ShippingFailed>([Leads::abort()]);
            let state = state.ignore::<Overdue>().ignore::<OrderPlaced>().ignore::<OrderRequested>();
            let state = state.ignore::<StockReserved>().ignore::<StockRefused>();
            state.ignore::<PaymentAuthorised>().ignore::<PaymentDeclined>()
        })
        .missing::<StockReserved>(Missing::DeadLetter)
        .missing::<StockRefused>(Missing::DeadLetter)
        .missing::<PaymentAuthorised>(Missing::DeadLetter)
        .missing::<PaymentDeclined>(Missing::DeadLetter)
        .missing::<OrderShipped>(Missing::DeadLetter)
        .missing::<ShippingFailed>(Missing::DeadLetter)
        .missing::<Overdue>(Missing::DeadLetter)
        .undo::<steps::Refund>()
        .undo::<steps::Release>()
        .undo::<steps::Tell>()
}

/// The service.
pub fn service() -> ServiceBuilder {
    Service::builder(NAME)
        .saga(SAGA, Checkout, saga)
        // Cancellations and adjustments are not for it, nor what was released, refunded, or kept for somebody else.
        .ignore_unknown(OrderPlaced::TOPIC)
        .ignore_unknown(StockReserved::TOPIC)
        .ignore_unknown(PaymentAuthorised::TOPIC)
        .emits::<ReserveStock>()
        .emits::<ReleaseStock>()
        .emits::<AuthorisePayment>()
        .emits::<RefundPayment>()
        .emits::<ShipOrder>()
        .emits::<OrderConfirmed>()
        .emits::<OrderFailed>()
}

#[cfg(test)]
mod tests;
