use ingest::{InvoiceClosed, Kind, LineRejected, OrderLineRecorded};
use tidemill_testkit::driver::TestDriver;

use crate::{
    INVOICES, OUTCOME, OrderAdjusted, OrderCancelled, OrderItem, OrderPlaced, Outcome, REJECTED, REJECTIONS, service,
};

/// 2010-12-31T23:59:00Z, and the minute after it.
const LAST_OF_2010: i64 = 1_293_839_940_000;
const FIRST_OF_2011: i64 = LAST_OF_2010 + 60_000;

fn line(invoice: &str, line: i64, quantity: i64, invoice_time: i64) -> OrderLineRecorded {
    OrderLineRecorded {
        invoice: invoice.to_owned(),
        line,
        stock_code: format!("S{line}"),
        quantity,
        invoice_time,
        unit_price_milli: 2_550,
        customer: Some("17850".to_owned()),
        country: "France".to_owned(),
        ..OrderLineRecorded::default()
    }
}

fn closed(invoice: &str) -> InvoiceClosed {
    InvoiceClosed { invoice: invoice.to_owned(), lines: 1 }
}

fn item(line: i64, quantity: i64, month: &str) -> OrderItem {
    OrderItem { stock_code: format!("S{line}"), quantity, unit_price_milli: 2_550, month: month.to_owned() }
}

#[test]
fn an_invoice_is_gathered_in_the_order_of_its_lines_and_told_once_it_is_closed() {
    let mut driver = TestDriver::new(service);
    driver.send(line("1", 9, 3, LAST_OF_2010));
    driver.send(line("2", 10, 1, LAST_OF_2010));
    driver.send(line("1", 300, 2, FIRST_OF_2011));
    assert_eq!(driver.emitted::<OrderPlaced>(), [], "nothing is told before the end");
    driver.send(closed("1"));
    let expected = OrderPlaced {
        invoice: "1".to_owned(),
        customer: Some("17850".to_owned()),
        country: "France".to_owned(),
        at: LAST_OF_2010,
        lines: 2,
        items: vec![item(9, 3, "2010-12"), item(300, 2, "2011-01")],
        total_milli: 12_750,
    };
    assert_eq!(driver.emitted::<OrderPlaced>(), [expected]);
    let outcome = Outcome { kind: Kind::Order, lines: 2, total_milli: 12_750 };
    assert_eq!(driver.state(INVOICES, "1").get(OUTCOME), Some(outcome));
    assert_eq!(driver.state(INVOICES, "2").get(OUTCOME), None);
    assert_eq!(driver.entries(), 2, "the outcome of one, the line of the other");
}

#[test]
fn the_number_tells_what_an_invoice_is() {
    let mut driver = TestDriver::new(service);
    for (number, invoice) in (1..).zip(["1", "C2", "A3"]) {
        driver.send(line(invoice, number, -1, LAST_OF_2010));
        driver.send(closed(invoice));
    }
    assert_eq!(driver.emitted::<OrderPlaced>()[0].invoice, "1");
    assert_eq!(driver.emitted::<OrderCancelled>()[0].total_milli, -2_550);
    assert_eq!(driver.emitted::<OrderAdjusted>()[0].invoice, "A3");
    assert_eq!(driver.state(INVOICES, "C2").get(OUTCOME).map(|outcome| outcome.kind), Some(Kind::Cancellation));
}

#[test]
fn rejected_lines_are_counted_by_their_input() {
    let mut driver = TestDriver::new(service);
    for line in 1..=3 {
        driver.send(LineRejected { input: "a.csv".to_owned(), line, reason: "bad".to_owned() });
    }
    assert_eq!(driver.state(REJECTIONS, "a.csv").get(REJECTED), Some(3));
}

#[test]
fn an_end_without_a_line_is_a_dead_letter_that_names_what_is_wrong() {
    let mut driver = TestDriver::new(service);
    driver.send(closed("7"));
    let letters = driver.dead_letters();
    let [letter] = &letters[..] else { panic!("there is nothing to close: {letters:?}") };
    assert_eq!((letter.code.as_str(), letter.key(), letter.attempts), ("TM-0501", Some("7"), 1));
    assert!(letter.message.contains("is closed without a line"), "{}", letter.message);
}
