use orders::OrderPlaced;
use tidemill_testkit::driver::TestDriver;

use super::*;

const SEED: u64 = 7;

fn order(invoice: &str) -> OrderPlaced {
    OrderPlaced {
        invoice: invoice.to_owned(),
        customer: None,
        country: "France".to_owned(),
        at: 0,
        lines: 1,
        items: Vec::new(),
        total_milli: 1_250,
    }
}

/// The first invoices with a fault that `wanted` says yes to.
fn invoice(wanted: impl Fn(Fault) -> bool) -> String {
    let bank = Bank::new(Some(SEED));
    let mut all = (0..100_000).map(|number| number.to_string());
    all.find(|invoice| bank.fault(invoice).is_some_and(&wanted)).expect("a seed has all faults")
}

fn attempts(driver: &TestDriver, invoice: &str) -> Option<u32> {
    driver.state(CHARGES, invoice).get(PAYMENT).map(|payment| payment.attempts)
}

#[test]
fn a_bank_without_a_seed_never_fails() {
    let mut driver = TestDriver::new(|| service(None));
    driver.send(order("1"));
    assert_eq!(driver.state(CHARGES, "1").get(PAYMENT), Some(Payment { amount_milli: 1_250, attempts: 1 }));
}

#[test]
fn what_fails_for_a_while_is_charged_in_the_end_and_what_fails_for_good_is_a_letter() {
    let mut driver = TestDriver::new(|| service(Some(SEED)));
    for failures in 1..=6 {
        let busy = invoice(|fault| fault == Fault::Transient(failures));
        driver.send(order(&busy));
        assert_eq!(attempts(&driver, &busy), Some(failures + 1));
    }
    let slow = invoice(|fault| fault == Fault::Slow);
    driver.send(order(&slow));
    assert_eq!((attempts(&driver, &slow), driver.dead_letters().len()), (Some(2), 0));
    let refused = invoice(|fault| fault == Fault::Permanent);
    driver.send(order(&refused));
    let letters = driver.dead_letters();
    assert_eq!((letters[0].key(), letters[0].class.as_str()), (Some(refused.as_str()), "permanent"));
    assert_eq!((attempts(&driver, &refused), driver.parked().len()), (None, 0));
}

#[test]
fn a_known_customer_is_authorised_and_refunded_once() {
    let mut driver = TestDriver::new(|| service(None));
    let asks = |order: &str, customer: Option<&str>| AuthorisePayment {
        order: order.to_owned(),
        customer: customer.map(str::to_owned),
        amount_milli: 1_250,
    };
    driver.send(asks("1", Some("17850")));
    driver.send(asks("2", None));
    assert_eq!(driver.emitted::<PaymentAuthorised>().len(), 1);
    assert_eq!(driver.emitted::<PaymentDeclined>()[0].reason, "no customer");
    for order in ["1", "1", "2"] {
        driver.send(RefundPayment { order: order.to_owned() });
    }
    let refunded: Vec<_> = driver.emitted::<PaymentRefunded>().into_iter().map(|refund| refund.amount_milli).collect();
    assert_eq!(refunded, [1_250, 0, 0]);
}
