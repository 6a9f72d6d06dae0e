use orders::{OrderAdjusted, OrderItem, OrderPlaced};
use tidemill_testkit::driver::TestDriver;

use crate::{COUNTRIES, MONTHS, REVENUE, TOTALS, Totals, service};

fn item(quantity: i64, unit_price_milli: i64, month: &str) -> OrderItem {
    OrderItem { stock_code: "A".to_owned(), quantity, unit_price_milli, month: month.to_owned() }
}

fn placed(invoice: &str, country: &str, items: Vec<OrderItem>) -> OrderPlaced {
    let (invoice, country) = (invoice.to_owned(), country.to_owned());
    OrderPlaced { invoice, customer: None, country, at: 0, lines: 0, items, total_milli: 0 }
}

#[test]
fn revenue_is_kept_by_country_and_by_the_month_of_each_line() {
    let mut driver = TestDriver::new(service);
    driver.send(placed("1", "France", vec![item(2, 2_550, "2010-12"), item(1, 100, "2011-01"), item(1, 1, "2010-12")]));
    driver.send(placed("2", "France", vec![item(-1, 1_000, "2011-01")]));
    driver.send(placed("3", "EIRE", vec![item(3, 7, "2011-01")]));
    let totals = |lines, invoices, revenue_milli| Some(Totals { lines, invoices, revenue_milli });
    assert_eq!(driver.state(COUNTRIES, "France").get(TOTALS), totals(4, 2, 4_201));
    assert_eq!(driver.state(COUNTRIES, "EIRE").get(TOTALS), totals(1, 1, 21));
    assert_eq!(driver.state(MONTHS, "2010-12").get(REVENUE), Some(5_101));
    assert_eq!(driver.state(MONTHS, "2011-01").get(REVENUE), Some(-879));
}

#[test]
fn an_adjustment_counts_like_any_other_invoice() {
    let mut driver = TestDriver::new(service);
    let OrderPlaced { invoice, customer, country, at, lines, items, total_milli } =
        placed("A1", "France", vec![item(1, -11_062_060, "2011-08")]);
    driver.send(OrderAdjusted { invoice, customer, country, at, lines, items, total_milli });
    assert_eq!(driver.state(MONTHS, "2011-08").get(REVENUE), Some(-11_062_060));
    assert_eq!(driver.state(COUNTRIES, "France").get(TOTALS).map(|totals| totals.invoices), Some(1));
}
