use own_crate::{Sale, TOTAL, sales};
use tidemill_testkit::driver::TestDriver;
use tidemill_testkit::simulation::Simulation;

fn sale(n: i64) -> Sale {
    Sale { country: if n % 2 == 0 { "France" } else { "EIRE" }.to_owned(), amount_milli: n }
}

#[test]
fn revenue_adds_up_across_a_crash() {
    let mut driver = TestDriver::new(sales);
    driver.send(sale(2));
    driver.crash_and_restart();
    driver.send(sale(4));
    assert_eq!(driver.state("revenue", "France").get(TOTAL), Some(6));
}

#[test]
fn revenue_adds_up_whatever_goes_wrong() {
    let report = Simulation::of(sales).feed_all((0..60).map(sale)).run(0..32);
    assert!(report.faults.len() > 5, "{report}");
}
