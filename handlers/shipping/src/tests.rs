use tidemill_testkit::driver::TestDriver;

use super::*;

#[test]
fn an_order_is_shipped_or_refused_as_the_seed_says() {
    let mut driver = TestDriver::new(|| service(SEED));
    let carriers = Carriers::new(SEED);
    let mut all = (0..1_000).map(|number| number.to_string());
    let taken = all.find(|order| carriers.takes(order)).expect("most are");
    let refused = all.find(|order| !carriers.takes(order)).expect("some are not");
    for order in [&taken, &refused] {
        driver.send(ShipOrder { order: order.clone(), country: "France".to_owned(), units: 3 });
    }
    let (carrier, other) = (carriers.of(&taken).to_owned(), carriers.of(&refused).to_owned());
    assert_eq!(driver.emitted::<OrderShipped>(), [OrderShipped { order: taken, units: 3, carrier }]);
    let reason = format!("{other} does not take it");
    assert_eq!(driver.emitted::<ShippingFailed>(), [ShippingFailed { order: refused, carrier: other, reason }]);
}
