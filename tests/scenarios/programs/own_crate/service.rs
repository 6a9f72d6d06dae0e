//! A service of somebody who uses tidemill: the handler as it should be, and two careless ones.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tidemill::prelude::*;

/// Something was sold.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "own.sale", version = 1, topic = "sales", key = country, codec = json)]
pub struct Sale {
    pub country: String,
    pub amount_milli: i64,
}

/// Keeps the revenue of each country.
pub struct Revenue;
pub const TOTAL: Cell<i64> = Cell::named("total");

#[async_trait(?Send)]
impl Handler<Sale> for Revenue {
    async fn handle(&self, sale: &Sale, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let total = cx.get(TOTAL).await?.unwrap_or(0);
        cx.set(TOTAL, total + sale.amount_milli);
        Ok(())
    }
}

pub fn sales() -> ServiceBuilder {
    Service::builder("sales").on::<Sale>("revenue", Revenue)
}

/// Keeps the revenue in a static, and only copies it into the state.
struct Forgetful;
static TOTALS: Mutex<BTreeMap<String, i64>> = Mutex::new(BTreeMap::new());

#[async_trait(?Send)]
impl Handler<Sale> for Forgetful {
    async fn handle(&self, sale: &Sale, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let mut totals = TOTALS.lock().unwrap();
        let total = totals.entry(sale.country.clone()).or_default();
        *total += sale.amount_milli;
        cx.set(TOTAL, *total);
        Ok(())
    }
}

pub fn forgetful() -> ServiceBuilder {
    Service::builder("sales").on::<Sale>("revenue", Forgetful)
}

/// Forgets what it keeps in the static, as a new process would.
pub fn forget() {
    TOTALS.lock().unwrap().clear();
}

/// Sends a mail for each sale, which nobody can call back.
struct Mailer;
pub static MAILS: AtomicU64 = AtomicU64::new(0);

#[async_trait(?Send)]
impl Handler<Sale> for Mailer {
    async fn handle(&self, _: &Sale, _: &mut Context<'_>) -> Result<(), HandlerError> {
        MAILS.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

pub fn mailing() -> ServiceBuilder {
    Service::builder("mailing").on::<Sale>("mailer", Mailer)
}
