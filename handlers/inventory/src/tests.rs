use orders::{OrderCancelled, OrderItem, OrderPlaced};
use tidemill_testkit::driver::TestDriver;

use crate::{STOCK, StockMoved, UNITS, service};

fn item(stock_code: &str, quantity: i64) -> OrderItem {
    OrderItem { stock_code: stock_code.to_owned(), quantity, unit_price_milli: 10, month: "2010-12".to_owned() }
}

fn placed(invoice: &str, items: Vec<OrderItem>) -> OrderPlaced {
    let invoice = invoice.to_owned();
    OrderPlaced { invoice, customer: None, country: "EIRE".to_owned(), at: 0, lines: 0, items, total_milli: 0 }
}

#[test]
fn what_is_sold_leaves_and_what_is_cancelled_comes_back() {
    let mut driver = TestDriver::new(service);
    driver.send(placed("1", vec![item("A", 6), item("B", 1), item("A", 4)]));
    let OrderPlaced { customer, country, at, lines, total_milli, .. } = placed("C2", Vec::new());
    let (invoice, items) = ("C2".to_owned(), vec![item("A", -3)]);
    driver.send(OrderCancelled { invoice, customer, country, at, lines, items, total_milli });
    let moved = driver.emitted::<StockMoved>();
    let moved: Vec<_> = moved.iter().map(|moved| (&*moved.stock_code, &*moved.invoice, moved.units)).collect();
    assert_eq!(moved, [("A", "1", -6), ("B", "1", -1), ("A", "1", -4), ("A", "C2", 3)]);
    assert_eq!(driver.state(STOCK, "A").get(UNITS), Some(-7));
    assert_eq!(driver.state(STOCK, "B").get(UNITS), Some(-1));
}

#[test]
fn a_product_that_moved_by_nothing_is_known_all_the_same() {
    let mut driver = TestDriver::new(service);
    driver.send(placed("1", vec![item("A", 0)]));
    assert_eq!(driver.state(STOCK, "A").get(UNITS), Some(0));
}
