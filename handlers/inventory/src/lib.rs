//! The shop's inventory: turns the items of closed invoices into stock movements, keeps the units of each product, and reserves what the
//! checkout asks for.

mod reservations;

use orders::{Invoice, OrderAdjusted, OrderCancelled, OrderPlaced};
use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::service::ServiceBuilder;

pub use reservations::{
    AVAILABLE, Opening, RESERVED, ReleaseStock, Reservations, ReserveStock, StockRefused, StockReleased, StockReserved,
};

/// The service's name, which is its group's name too.
pub const NAME: &str = "inventory";
/// The handler that takes invoices apart.
pub const ITEMS: &str = "items";
/// The handler that keeps units.
pub const STOCK: &str = "stock";
/// The handler that reserves units for orders.
pub const RESERVATIONS: &str = "reservations";
/// The units of a product, counted from zero: sold ones are negative.
pub const UNITS: Cell<i64> = Cell::named("units");

/// Units of a product left the stock or came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.stock-moved", version = 1, topic = "stock", key = stock_code)]
pub struct StockMoved {
    /// The product.
    pub stock_code: String,
    /// The invoice that moved it.
    pub invoice: String,
    /// Units; negative when they left.
    pub units: i64,
}

/// Takes invoices apart: one movement for each item.
#[derive(Debug, Clone, Copy)]
pub struct Items;

#[async_trait(?Send)]
impl<E: Event + Invoice> Handler<E> for Items {
    async fn handle(&self, invoice: &E, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        for item in invoice.items() {
            cx.emit(StockMoved {
                stock_code: item.stock_code.clone(),
                invoice: invoice.invoice().to_owned(),
                units: -item.quantity,
            });
        }
        Ok(())
    }
}

/// Owns the units of each product.
#[derive(Debug, Clone, Copy)]
pub struct Stock;

#[async_trait(?Send)]
impl Handler<StockMoved> for Stock {
    async fn handle(&self, moved: &StockMoved, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let units = cx.get(UNITS).await?.unwrap_or(0);
        cx.set(UNITS, units + moved.units);
        Ok(())
    }
}

/// The service, with the usual opening stock.
pub fn service() -> ServiceBuilder {
    opened_with(Opening::default())
}

/// The service, with this opening stock.
pub fn opened_with(opening: Opening) -> ServiceBuilder {
    Service::builder(NAME)
        .handler(ITEMS, Items, |handler| handler.on::<OrderPlaced>().on::<OrderCancelled>().on::<OrderAdjusted>())
        .on::<StockMoved>(STOCK, Stock)
        .handler(RESERVATIONS, Reservations { opening }, |handler| handler.on::<ReserveStock>().on::<ReleaseStock>())
        .emits::<StockMoved>()
        .emits::<StockReserved>()
        .emits::<StockRefused>()
        .emits::<StockReleased>()
}

#[cfg(test)]
mod tests;
