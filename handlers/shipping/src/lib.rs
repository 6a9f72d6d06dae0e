//! The shop's shipping: gives orders to carriers, some of which do not take them, where a seed says so.

mod carriers;

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;

pub use carriers::Carriers;

/// The service's name, which is its group's name too.
pub const NAME: &str = "shipping";
/// The handler that ships orders.
pub const SHIPMENTS: &str = "shipments";
/// The seed of the carriers, unless another one is given.
pub const SEED: u64 = 1;

/// An order is to be shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.ship-order", version = 1, topic = "shipping-commands", key = order)]
pub struct ShipOrder {
    /// The order: its invoice's number.
    pub order: String,
    /// The customer's country.
    pub country: String,
    /// How many units it has.
    pub units: i64,
}

/// An order was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.order-shipped", version = 1, topic = "shipping-replies", key = order)]
pub struct OrderShipped {
    /// The order: its invoice's number.
    pub order: String,
    /// How many units it has.
    pub units: i64,
    /// Who carries it.
    pub carrier: String,
}

/// An order cannot be shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.shipping-failed", version = 1, topic = "shipping-replies", key = order)]
pub struct ShippingFailed {
    /// The order: its invoice's number.
    pub order: String,
    /// Who was to carry it.
    pub carrier: String,
    /// Why not.
    pub reason: String,
}

/// Gives orders to carriers.
#[derive(Debug, Clone, Copy)]
pub struct Shipments {
    carriers: Carriers,
}

#[async_trait(?Send)]
impl Handler<ShipOrder> for Shipments {
    async fn handle(&self, ship: &ShipOrder, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let (order, carrier) = (ship.order.clone(), self.carriers.of(&ship.order).to_owned());
        if self.carriers.takes(&ship.order) {
            cx.reply(OrderShipped { order, units: ship.units, carrier });
        } else {
            let reason = format!("{carrier} does not take it");
            cx.reply(ShippingFailed { order, carrier, reason });
        }
        Ok(())
    }
}

/// The service, whose carriers fail where the seed says so.
pub fn service(seed: u64) -> ServiceBuilder {
    Service::builder(NAME)
        .on::<ShipOrder>(SHIPMENTS, Shipments { carriers: Carriers::new(seed) })
        .emits::<OrderShipped>()
        .emits::<ShippingFailed>()
}

#[cfg(test)]
mod tests;
