//! What the checkout does in each of its states, and how it is undone.

use std::collections::BTreeMap;

use inventory::{ReleaseStock, ReserveStock, StockRefused, StockReserved};
use orders::{OrderPlaced, OrderRequested};
use payments::{AuthorisePayment, PaymentAuthorised, PaymentDeclined, RefundPayment};
use serde::{Deserialize, Serialize};
use shipping::{OrderShipped, ShipOrder, ShippingFailed};
use tidemill::prelude::*;
use tidemill::saga::{Begin, Compensation, Next, State, Step, Undo};

use crate::events::{Ending, OrderConfirmed, OrderFailed, Overdue};
use crate::{CONFIRMED, PATIENCE};

/// The timer that runs while stock is asked for.
const STOCK: &str = "stock";

/// What an order came to, when it has ended. It is kept for as long as the shop is.
pub const OUTCOME: Cell<Outcome> = Cell::named("outcome");
/// Why the order is undone, until it is.
const FAILED: Cell<Outcome> = Cell::named("failed");

/// What an order came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Why, if it was not confirmed.
    pub reason: String,
}

/// What the checkout has to know of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    id: String,
    customer: Option<String>,
    country: String,
    total_milli: i64,
    /// Units of all products.
    units: i64,
}

/// Stock is asked for, product by product.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reserving {
    order: Order,
    /// Products of which no answer has come.
    open: usize,
}

impl State for Reserving {
    const NAME: &'static str = "reserving";
}

/// All stock is reserved, and the payment is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Paying {
    order: Order,
}

impl State for Paying {
    const NAME: &'static str = "paying";
}

/// The order is paid, and on its way to the customer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shipping {
    order: Order,
}

impl State for Shipping {
    const NAME: &'static str = "shipping";
}

/// Tells what an order came to that failed: the first thing that is registered, so the last that is done.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tell {
    order: String,
}

impl Compensation for Tell {
    const NAME: &'static str = "tell";
}

/// Gives the stock back. It is registered before any is reserved: what was asked for and has not answered is released too, as a product's
/// commands are done in their order.
#[derive(Serialize, Deserialize)]
pub(crate) struct Release {
    order: String,
    stock_codes: Vec<String>,
}

impl Compensation for Release {
    const NAME: &'static str = "release-stock";
}

/// Gives the money back, whether or not it was authorised yet.
#[derive(Serialize, Deserialize)]
pub(crate) struct Refund {
    order: String,
}

impl Compensation for Refund {
    const NAME: &'static str = "refund-payment";
}

/// Takes orders through stock, payment and shipping.
#[derive(Debug, Clone, Copy)]
pub struct Checkout;

/// Asks for the payment.
async fn pay(order: Order, cx: &mut Context<'_>) -> Result<(Next, Refund), HandlerError> {
    let Order { id, customer, total_milli: amount_milli, .. } = order.clone();
    let refund = Refund { order: id.clone() };
    cx.request_within(AuthorisePayment { order: id, customer, amount_milli }, PATIENCE, Overdue {}).await?;
    Ok((Next::to(Paying { order }), refund))
}

/// Undoes the order, and remembers why until that is told.
fn fail(ending: Ending, reason: String, cx: &mut Context<'_>) -> Next {
    cx.set(FAILED, Outcome { ending, reason: reason.clone() });
    Next::abort(reason)
}

/// Asks for the stock of an order, product by product, or for its payment where nothing is to be reserved.
async fn reserve<'a>(
    order: Order,
    items: impl Iterator<Item = (&'a String, i64)>,
    cx: &mut Context<'_>,
) -> Result<Next, HandlerError> {
    let mut wanted = BTreeMap::<&String, i64>::new();
    for (stock_code, units) in items.filter(|(_, units)| *units > 0) {
        *wanted.entry(stock_code).or_default() += units;
    }
    let order = Order { units: wanted.values().sum(), ..order };
    let tell = Tell { order: order.id.clone() };
    if wanted.is_empty() {
        let (next, refund) = pay(order, cx).await?;
        return Ok(next.undo_with(tell).undo_with(refund));
    }
    let stock_codes: Vec<String> = wanted.keys().map(|stock_code| (*stock_code).clone()).collect();
    for (stock_code, units) in &wanted {
        cx.request(ReserveStock { order: order.id.clone(), stock_code: (*stock_code).clone(), units: *units });
    }
    cx.schedule(STOCK, PATIENCE, Overdue {}).await?;
    let release = Release { order: order.id.clone(), stock_codes };
    Ok(Next::to(Reserving { order, open: wanted.len() }).undo_with(tell).undo_with(release))
}

#[async_trait(?Send)]
impl Begin<OrderPlaced> for Checkout {
    async fn begin(&self, placed: &OrderPlaced, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        let OrderPlaced { invoice, customer, country, total_milli, items, .. } = placed;
        let (customer, country, total_milli) = (customer.clone(), country.clone(), *total_milli);
        let order = Order { id: invoice.clone(), customer, country, total_milli, units: 0 };
        reserve(order, items.iter().map(|item| (&item.stock_code, item.quantity)), cx).await
    }
}

#[async_trait(?Send)]
impl Begin<OrderRequested> for Checkout {
    async fn begin(&self, requested: &OrderRequested, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        let OrderRequested { order, customer, country, total_milli, lines, .. } = requested;
        let (customer, country, total_milli) = (customer.clone(), country.clone(), *total_milli);
        let order = Order { id: order.clone(), customer, country, total_milli, units: 0 };
        reserve(order, lines.iter().map(|line| (&line.stock_code, line.quantity)), cx).await
    }
}

#[async_trait(?Send)]
impl Step<Reserving, StockReserved> for Checkout {
    async fn step(&self, state: Reserving, _: &StockReserved, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        let Reserving { order, open } = state;
        if open > 1 {
            return Ok(Next::to(Reserving { order, open: open - 1 }));
        }
        cx.cancel(STOCK).await?;
        let (next, refund) = pay(order, cx).await?;
        Ok(next.undo_with(refund))
    }
}

#[async_trait(?Send)]
impl Step<Reserving, StockRefused> for Checkout {
    async fn step(&self, _: Reserving, _: &StockRefused, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.cancel(STOCK).await?;
        Ok(fail(Ending::OutOfStock, "out of stock".to_owned(), cx))
    }
}

#[async_trait(?Send)]
impl Step<Paying, PaymentAuthorised> for Checkout {
    async fn step(&self, state: Paying, _: &PaymentAuthorised, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        let Order { id, country, units, .. } = state.order.clone();
        cx.request(ShipOrder { order: id, country, units });
        Ok(Next::to(Shipping { order: state.order }))
    }
}

#[async_trait(?Send)]
impl Step<Paying, PaymentDeclined> for Checkout {
    async fn step(&self, _: Paying, declined: &PaymentDeclined, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(fail(Ending::Declined, declined.reason.clone(), cx))
    }
}

#[async_trait(?Send)]
impl Step<Shipping, OrderShipped> for Checkout {
    async fn step(&self, state: Shipping, _: &OrderShipped, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        let Order { id, total_milli, units, .. } = state.order;
        cx.set(OUTCOME, Outcome { ending: Ending::Confirmed, reason: String::new() });
        cx.emit(OrderConfirmed { order: id, total_milli, units });
        Ok(Next::end(CONFIRMED))
    }
}

#[async_trait(?Send)]
impl Step<Shipping, ShippingFailed> for Checkout {
    async fn step(&self, _: Shipping, failed: &ShippingFailed, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(fail(Ending::Compensated, failed.reason.clone(), cx))
    }
}

#[async_trait(?Send)]
impl<S: State> Step<S, Overdue> for Checkout {
    async fn step(&self, _: S, _: &Overdue, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(fail(Ending::Compensated, format!("no answer while {}", S::NAME), cx))
    }
}

#[async_trait(?Send)]
impl Undo<Refund> for Checkout {
    async fn undo(&self, refund: Refund, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        cx.emit(RefundPayment { order: refund.order });
        Ok(())
    }
}

#[async_trait(?Send)]
impl Undo<Release> for Checkout {
    async fn undo(&self, release: Release, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        for stock_code in release.stock_codes {
            cx.emit(ReleaseStock { order: release.order.clone(), stock_code });
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Undo<Tell> for Checkout {
    async fn undo(&self, tell: Tell, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        // A step that failed for good left nothing, and so no reason either.
        let unknown = || Outcome { ending: Ending::Compensated, reason: "a step failed".to_owned() };
        let outcome = cx.get(FAILED).await?.unwrap_or_else(unknown);
        let Outcome { ending, reason } = outcome.clone();
        cx.clear(FAILED);
        cx.set(OUTCOME, outcome);
        cx.emit(OrderFailed { order: tell.order, outcome: ending.to_string(), reason });
        Ok(())
    }
}
