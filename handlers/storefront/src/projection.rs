//! What became of orders: a view that follows the checkout, kept in the rows of the orders.

use checkout::{OrderConfirmed, OrderFailed};
use tidemill::prelude::*;

use crate::NAME;

/// The handler that keeps the view.
const STATUS: &str = "status";
/// Nothing where the order was not placed here.
const SET: &str = "update storefront.orders set status = $2, reason = $3 where id = $1";

struct Status;

async fn set(order: &str, status: &str, reason: Option<&str>, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    cx.sql()?.execute(SET, &[&order, &status, &reason]).await?;
    Ok(())
}

#[async_trait(?Send)]
impl Handler<OrderConfirmed> for Status {
    async fn handle(&self, confirmed: &OrderConfirmed, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        set(&confirmed.order, checkout::CONFIRMED, None, cx).await
    }
}

#[async_trait(?Send)]
impl Handler<OrderFailed> for Status {
    async fn handle(&self, failed: &OrderFailed, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        set(&failed.order, &failed.outcome, Some(&failed.reason), cx).await
    }
}

/// The service that keeps the view. Its rows are in the database, so it needs its state there.
pub fn service() -> ServiceBuilder {
    Service::builder(NAME).handler(STATUS, Status, |handler| handler.on::<OrderConfirmed>().on::<OrderFailed>())
}
