//! The shop's sales: re-keys closed invoices by country and by month, and keeps lines, invoices and revenue of each.

use std::collections::BTreeMap;

use orders::{Invoice, OrderAdjusted, OrderCancelled, OrderItem, OrderPlaced};
use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::service::ServiceBuilder;

/// The service's name, which is its group's name too.
pub const NAME: &str = "sales";
/// The handler that re-keys invoices.
pub const INVOICES: &str = "invoices";
/// The handler that keeps totals by country.
pub const COUNTRIES: &str = "countries";
/// The handler that keeps revenue by month.
pub const MONTHS: &str = "months";
/// The totals of a country.
pub const TOTALS: Cell<Totals> = Cell::named("totals");
/// The revenue of a month in thousandths of a pound.
pub const REVENUE: Cell<i64> = Cell::named("revenue");

/// What one invoice brought from one country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.country-sale", version = 1, topic = "country-sales", key = country)]
pub struct CountrySale {
    /// The customer's country.
    pub country: String,
    /// The invoice's number.
    pub invoice: String,
    /// How many lines the invoice has.
    pub lines: i64,
    /// The invoice's sum in thousandths of a pound.
    pub amount_milli: i64,
}

/// What one invoice brought in one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "shop.month-sale", version = 1, topic = "month-sales", key = month)]
pub struct MonthSale {
    /// The month, such as `2010-12`.
    pub month: String,
    /// The invoice's number.
    pub invoice: String,
    /// The sum of the invoice's lines of that month in thousandths of a pound.
    pub amount_milli: i64,
}

/// What a country has brought so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Lines of invoices.
    pub lines: i64,
    /// Invoices.
    pub invoices: i64,
    /// Revenue in thousandths of a pound.
    pub revenue_milli: i64,
}

/// Re-keys invoices.
#[derive(Debug, Clone, Copy)]
pub struct Rekey;

#[async_trait(?Send)]
impl<E: Event + Invoice> Handler<E> for Rekey {
    async fn handle(&self, event: &E, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let mut months: BTreeMap<&str, i64> = BTreeMap::new();
        for item in event.items() {
            *months.entry(&item.month).or_default() += item.amount_milli();
        }
        for (month, amount_milli) in months {
            cx.emit(MonthSale { month: month.to_owned(), invoice: event.invoice().to_owned(), amount_milli });
        }
        cx.emit(CountrySale {
            country: event.country().to_owned(),
            invoice: event.invoice().to_owned(),
            lines: i64::try_from(event.items().len())?,
            amount_milli: event.items().iter().map(OrderItem::amount_milli).sum(),
        });
        Ok(())
    }
}

/// Owns the totals of each country.
#[derive(Debug, Clone, Copy)]
pub struct Countries;

#[async_trait(?Send)]
impl Handler<CountrySale> for Countries {
    async fn handle(&self, sale: &CountrySale, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let mut totals = cx.get(TOTALS).await?.unwrap_or_default();
        totals.lines += sale.lines;
        totals.invoices += 1;
        totals.revenue_milli += sale.amount_milli;
        cx.set(TOTALS, totals);
        Ok(())
    }
}

/// Owns the revenue of each month.
#[derive(Debug, Clone, Copy)]
pub struct Months;

#[async_trait(?Send)]
impl Handler<MonthSale> for Months {
    async fn handle(&self, sale: &MonthSale, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let revenue = cx.get(REVENUE).await?.unwrap_or(0);
        cx.set(REVENUE, revenue + sale.amount_milli);
        Ok(())
    }
}

/// The service.
pub fn service() -> ServiceBuilder {
    Service::builder(NAME)
        .handler(INVOICES, Rekey, |handler| handler.on::<OrderPlaced>().on::<OrderCancelled>().on::<OrderAdjusted>())
        .on::<CountrySale>(COUNTRIES, Countries)
        .on::<MonthSale>(MONTHS, Months)
        .emits::<CountrySale>()
        .emits::<MonthSale>()
}

#[cfg(test)]
mod tests;
