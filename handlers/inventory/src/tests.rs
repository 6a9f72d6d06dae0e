use orders::{OrderCancelled, OrderItem, OrderPlaced};
use tidemill_testkit::driver::TestDriver;

use crate::{
    AVAILABLE, Opening, RESERVATIONS, ReleaseStock, ReserveStock, STOCK, StockMoved, StockRefused, StockReleased,
    StockReserved, UNITS, opened_with, service,
};

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

#[test]
fn units_are_kept_for_orders_while_there_are_any() {
    let few = Opening { units: 10, products_for_one_sold_out: u64::MAX };
    let mut driver = TestDriver::new(move || opened_with(few));
    let (stock_code, order) = ("A".to_owned(), |number: u32| number.to_string());
    for (number, units) in [(1, 6), (2, 5), (3, 4)] {
        driver.send(ReserveStock { order: order(number), stock_code: stock_code.clone(), units });
    }
    let reserved: Vec<_> = driver.emitted::<StockReserved>().into_iter().map(|kept| (kept.order, kept.units)).collect();
    assert_eq!(reserved, [(order(1), 6), (order(3), 4)]);
    let refused = StockRefused { order: order(2), stock_code: stock_code.clone(), units: 5, available: 4 };
    assert_eq!(driver.emitted::<StockRefused>(), [refused]);
    for number in [1, 1, 2] {
        driver.send(ReleaseStock { order: order(number), stock_code: stock_code.clone() });
    }
    let released: Vec<_> = driver.emitted::<StockReleased>().into_iter().map(|free| free.units).collect();
    assert_eq!(released, [6, 0, 0], "what is not kept is not released");
    assert_eq!(driver.state(RESERVATIONS, "A").get(AVAILABLE), Some(6));
}

#[test]
fn some_products_are_sold_out_when_the_shop_opens() {
    let opening = Opening::default();
    let codes = (0..4_000).map(|code| code.to_string());
    let sold_out = codes.filter(|code| opening.units_of(code) == 0).count();
    assert!((1..100).contains(&sold_out), "{sold_out}");
}
