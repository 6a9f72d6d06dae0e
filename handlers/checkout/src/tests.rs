use std::time::Duration;

use orders::OrderItem;
use tidemill::saga::{Instance, Status};
use tidemill_testkit::driver::TestDriver;

use super::*;

const INSTANCE: Cell<Instance> = Cell::named("tidemill.saga");
const ORDER: &str = "900001";

fn placed(items: &[(&str, i64)], customer: Option<&str>) -> OrderPlaced {
    let item = |(stock_code, quantity): &(&str, i64)| OrderItem {
        stock_code: (*stock_code).to_owned(),
        quantity: *quantity,
        unit_price_milli: 10,
        month: "2010-12".to_owned(),
    };
    let items: Vec<_> = items.iter().map(item).collect();
    OrderPlaced {
        invoice: ORDER.to_owned(),
        customer: customer.map(str::to_owned),
        country: "EIRE".to_owned(),
        at: 0,
        lines: 0,
        total_milli: items.iter().map(OrderItem::amount_milli).sum(),
        items,
    }
}

fn reserved(stock_code: &str, units: i64) -> StockReserved {
    StockReserved { order: ORDER.to_owned(), stock_code: stock_code.to_owned(), units }
}

/// An order of two products, whose customer is known, that was placed.
fn begun() -> TestDriver {
    let mut driver = TestDriver::new(service);
    driver.send(placed(&[("A", 6), ("B", 1), ("A", 4), ("C", -3)], Some("17850")));
    driver
}

fn paying() -> TestDriver {
    let mut driver = begun();
    driver.reply::<ReserveStock, _>(reserved("A", 10));
    driver.reply::<ReserveStock, _>(reserved("B", 1));
    driver
}

fn shipping() -> TestDriver {
    let mut driver = paying();
    driver.reply::<AuthorisePayment, _>(PaymentAuthorised { order: ORDER.to_owned(), amount_milli: 80 });
    driver
}

fn outcome(driver: &TestDriver) -> Option<(Ending, String)> {
    driver.state(SAGA, ORDER).get(OUTCOME).map(|outcome| (outcome.ending, outcome.reason))
}

fn status(driver: &TestDriver) -> Status {
    driver.state(SAGA, ORDER).get(INSTANCE).expect("it is kept").status
}

/// The failure that was told, which has to be the only thing that was.
fn failed(driver: &TestDriver) -> (String, String) {
    let told = driver.emitted::<OrderFailed>();
    assert_eq!((told.len(), driver.emitted::<OrderConfirmed>().len(), driver.timers().len()), (1, 0, 1));
    assert_eq!(status(driver), Status::Ended("compensated".to_owned()));
    (told[0].outcome.clone(), told[0].reason.clone())
}

/// The products that were released, and how many refunds there were.
fn undone(driver: &TestDriver) -> (Vec<String>, usize) {
    let released = driver.emitted::<ReleaseStock>().into_iter().map(|release| release.stock_code);
    (released.collect(), driver.emitted::<RefundPayment>().len())
}

#[test]
fn an_order_is_reserved_paid_shipped_and_confirmed() {
    let mut driver = shipping();
    let asked: Vec<_> = driver.emitted::<ReserveStock>().into_iter().map(|ask| (ask.stock_code, ask.units)).collect();
    assert_eq!(asked, [("A".to_owned(), 10), ("B".to_owned(), 1)], "what comes back is not reserved");
    assert_eq!(driver.emitted::<AuthorisePayment>()[0].amount_milli, 80);
    driver.crash_and_restart();
    driver.reply::<ShipOrder, _>(OrderShipped { order: ORDER.to_owned(), units: 11, carrier: "anyone".to_owned() });
    let confirmed = OrderConfirmed { order: ORDER.to_owned(), total_milli: 80, units: 11 };
    assert_eq!(driver.emitted::<OrderConfirmed>(), [confirmed]);
    assert_eq!(outcome(&driver), Some((Ending::Confirmed, String::new())));
    assert_eq!(undone(&driver), (Vec::new(), 0));
    // Only the end is still to be forgotten.
    assert_eq!((driver.timers().len(), driver.dead_letters().len()), (1, 0));
}

#[test]
fn one_product_that_is_out_of_stock_releases_all_that_was_asked_for() {
    let mut driver = begun();
    driver.reply::<ReserveStock, _>(StockRefused {
        order: ORDER.to_owned(),
        stock_code: "A".to_owned(),
        units: 10,
        available: 3,
    });
    assert_eq!(failed(&driver), ("out_of_stock".to_owned(), "out of stock".to_owned()));
    assert_eq!(undone(&driver), (vec!["A".to_owned(), "B".to_owned()], 0));
    // It comes late, and is released by what was sent behind its command.
    driver.reply::<ReserveStock, _>(reserved("B", 1));
    assert_eq!((undone(&driver).0.len(), driver.dead_letters().len()), (2, 0));
}

#[test]
fn a_payment_that_is_declined_releases_the_stock() {
    let mut driver = paying();
    driver.reply::<AuthorisePayment, _>(PaymentDeclined { order: ORDER.to_owned(), reason: "no customer".to_owned() });
    assert_eq!(failed(&driver), ("declined".to_owned(), "no customer".to_owned()));
    assert_eq!(outcome(&driver), Some((Ending::Declined, "no customer".to_owned())));
    assert_eq!(undone(&driver).0.len(), 2);
}

#[test]
fn an_order_that_cannot_be_shipped_is_refunded_and_released() {
    let mut driver = shipping();
    let (order, carrier, reason) = (ORDER.to_owned(), "anyone".to_owned(), "too heavy".to_owned());
    driver.reply::<ShipOrder, _>(ShippingFailed { order, carrier, reason });
    assert_eq!(failed(&driver), ("compensated".to_owned(), "too heavy".to_owned()));
    assert_eq!(undone(&driver), (vec!["A".to_owned(), "B".to_owned()], 1));
}

#[test]
fn an_order_without_anything_to_reserve_is_paid_at_once() {
    let mut driver = TestDriver::new(service);
    driver.send(placed(&[("A", -1)], None));
    assert_eq!((driver.emitted::<ReserveStock>().len(), driver.emitted::<AuthorisePayment>().len()), (0, 1));
}

#[test]
fn nobody_is_waited_for_for_longer_than_a_quarter_of_an_hour_but_carriers() {
    let mut driver = begun();
    driver.advance(PATIENCE.saturating_sub(Duration::from_secs(1)));
    assert_eq!(status(&driver), Status::Running);
    driver.advance(Duration::from_secs(1));
    assert_eq!(failed(&driver), ("compensated".to_owned(), "no answer while reserving".to_owned()));

    let mut driver = paying();
    driver.advance(PATIENCE);
    assert_eq!(failed(&driver), ("compensated".to_owned(), "no answer while paying".to_owned()));
    assert_eq!(undone(&driver).1, 1, "whoever does not answer may have authorised it");

    let mut driver = shipping();
    driver.advance(PATIENCE * 2);
    assert_eq!(status(&driver), Status::Running);
}

#[test]
fn the_guide_shows_the_process_as_it_is() {
    let service = service().build().expect("it fits together");
    let graph = service.sagas().next().expect("it has one").1.to_string();
    let guide = include_str!("../../../docs/PROCESSES.md");
    assert!(guide.contains(&graph), "docs/PROCESSES.md draws another process than this one:\n{graph}");
}
