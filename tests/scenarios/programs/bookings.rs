//! A service that keeps rows in Postgres: it books what the storefront takes, and numbers the orders of each customer.
//!
//! It takes the commands of every service. Its tables are made by whoever runs it.

use std::process::ExitCode;
use std::time::Duration;

use storefront::OrderRequested;
use tidemill::prelude::*;

/// Orders from there take their time, in the middle of their unit.
const SLOW_COUNTRY: &str = "Slow";
const SLOW: Duration = Duration::from_secs(3);
/// Orders of whom nobody knows who they are.
const UNKNOWN: &str = "unknown";
const BOOK: &str = "insert into bookings.booked (order_id, customer, total_milli) values ($1, $2, $3)";
/// Holds the customer's row until the commit: so events of one customer are added in the order of their numbers.
const NUMBER: &str = "insert into bookings.customer (name, orders) values ($1, 1) \
                      on conflict (name) do update set orders = customer.orders + 1 returning orders";

/// An order is booked: the first of a customer has number 1.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.booked", version = 1, topic = "booked", key = customer, codec = json)]
struct Booked {
    customer: String,
    order: String,
    number: i64,
}

async fn book(order: &OrderRequested, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let customer = order.customer.as_deref().unwrap_or(UNKNOWN);
    let mut sql = cx.sql()?;
    sql.execute(BOOK, &[&order.order, &customer, &order.total_milli]).await?;
    let row = sql.query_opt(NUMBER, &[&customer]).await?;
    if order.country == SLOW_COUNTRY {
        cx.blocking(|| std::thread::sleep(SLOW)).await?;
    }
    let number = row.map(|row| row.get(0)).ok_or_else(|| HandlerError::permanent("a customer without a number"))?;
    cx.emit(Booked { customer: customer.to_owned(), order: order.order.clone(), number });
    Ok(())
}

fn main() -> ExitCode {
    tidemill::main(Service::builder("bookings").on::<OrderRequested>("book", book).emits::<Booked>())
}
