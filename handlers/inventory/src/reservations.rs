//! What of each product may still be promised to orders. It begins with an opening stock.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

/// The units of a product that are not kept for anybody.
pub const AVAILABLE: Cell<i64> = Cell::named("available");
/// The units of a product that are kept, by order.
pub const RESERVED: Map<String, i64> = Map::named("reserved");

/// Units of a product are to be kept for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.reserve-stock", version = 1, topic = "stock-commands", key = stock_code)]
pub struct ReserveStock {
    /// The order: its invoice's number.
    pub order: String,
    /// The product.
    pub stock_code: String,
    /// How many.
    pub units: i64,
}

/// What is kept of a product for an order is free again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.release-stock", version = 1, topic = "stock-commands", key = stock_code)]
pub struct ReleaseStock {
    /// The order: its invoice's number.
    pub order: String,
    /// The product.
    pub stock_code: String,
}

/// Units of a product are kept for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.stock-reserved", version = 1, topic = "stock-replies", key = order)]
pub struct StockReserved {
    /// The order: its invoice's number.
    pub order: String,
    /// The product.
    pub stock_code: String,
    /// How many.
    pub units: i64,
}

/// There are too few units of a product for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.stock-refused", version = 1, topic = "stock-replies", key = order)]
pub struct StockRefused {
    /// The order: its invoice's number.
    pub order: String,
    /// The product.
    pub stock_code: String,
    /// How many were wanted.
    pub units: i64,
    /// How many there are.
    pub available: i64,
}

/// Units of a product that were kept for an order are free again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.stock-released", version = 1, topic = "stock-replies", key = order)]
pub struct StockReleased {
    /// The order: its invoice's number.
    pub order: String,
    /// The product.
    pub stock_code: String,
    /// How many; none where none were kept.
    pub units: i64,
}

/// What the shop has of each product when it opens: plenty, and of some products nothing. So whether an order finds its stock does not
/// depend on who comes first, and two runs can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The units of a product, where there are any.
    pub units: i64,
    /// Of so many products, about one is sold out.
    pub products_for_one_sold_out: u64,
}

impl Default for Opening {
    fn default() -> Self {
        Self { units: 10_000_000, products_for_one_sold_out: 300 }
    }
}

impl Opening {
    /// The units of a product when the shop opens.
    pub fn units_of(&self, stock_code: &str) -> i64 {
        let mut hash = DefaultHasher::new();
        stock_code.hash(&mut hash);
        if hash.finish().is_multiple_of(self.products_for_one_sold_out) { 0 } else { self.units }
    }
}

/// Keeps units of products for orders.
#[derive(Debug, Clone, Copy)]
pub struct Reservations {
    /// What there is when the shop opens.
    pub opening: Opening,
}

impl Reservations {
    async fn available(&self, stock_code: &str, cx: &mut Context<'_>) -> Result<i64, HandlerError> {
        Ok(cx.get(AVAILABLE).await?.unwrap_or_else(|| self.opening.units_of(stock_code)))
    }
}

#[async_trait(?Send)]
impl Handler<ReserveStock> for Reservations {
    async fn handle(&self, wanted: &ReserveStock, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let available = self.available(&wanted.stock_code, cx).await?;
        let ReserveStock { order, stock_code, units } = wanted.clone();
        if units > available {
            cx.reply(StockRefused { order, stock_code, units, available });
            return Ok(());
        }
        cx.set(AVAILABLE, available - units);
        cx.map(RESERVED).insert(&order, &units);
        cx.reply(StockReserved { order, stock_code, units });
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<ReleaseStock> for Reservations {
    async fn handle(&self, released: &ReleaseStock, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let ReleaseStock { order, stock_code } = released.clone();
        let units = cx.map(RESERVED).get(&order).await?.unwrap_or(0);
        if units > 0 {
            let available = self.available(&stock_code, cx).await?;
            cx.set(AVAILABLE, available + units);
            cx.map(RESERVED).remove(&order);
        }
        cx.reply(StockReleased { order, stock_code, units });
        Ok(())
    }
}
