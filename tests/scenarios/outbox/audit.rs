//! The independent checker: it reads tables with SQL and topics with Kafka's own consumer, committed records only, and knows nothing of
//! tidemill.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::orders::Answers;
use super::stage::Stage;
use crate::kafka::Shows;

/// Every order that was taken has its rows and its events once, and none that was refused has any; events of one customer are in the order
/// of their numbers; nothing waits. Answers how many orders there were.
pub(super) fn once(stage: &Stage, answers: &Answers) -> usize {
    let taken: BTreeSet<&str> = answers.taken.values().map(String::as_str).collect();
    assert_eq!(taken.len(), answers.taken.len(), "each key has an order of its own");
    same("orders at the storefront", &stage.texts("select id from storefront.orders"), &taken);
    same("bookings", &stage.texts("select order_id from bookings.booked"), &taken);
    let requested: Vec<String> =
        stage.records("storefront-orders", Shows::Keys).into_iter().map(|(key, _)| key).collect();
    same("events of the storefront", &requested, &taken);
    let mut numbers = BTreeMap::<String, Vec<i64>>::new();
    let mut booked = Vec::new();
    for (customer, value) in stage.records("booked", Shows::Values) {
        let value: Value = serde_json::from_str(&value).expect("JSON");
        booked.push(value["order"].as_str().expect("an order").to_owned());
        numbers.entry(customer).or_default().push(value["number"].as_i64().expect("a number"));
    }
    same("events of the bookings", &booked, &taken);
    for (customer, numbers) in &numbers {
        let expected: Vec<i64> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, &expected, "the order of {customer}");
    }
    assert_eq!(stage.number("select count(*) from tidemill.outbox"), Some(0), "rows wait in the outbox");
    assert_eq!(
        stage.number("select coalesce(sum(orders), 0)::bigint from bookings.customer"),
        i64::try_from(taken.len()).ok()
    );
    taken.len()
}

/// Each of these is there, once, and nothing else.
fn same(what: &str, found: &[String], expected: &BTreeSet<&str>) {
    let all: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let (missing, more) = (expected.difference(&all).count(), all.difference(expected).count());
    let twice = found.len() - all.len();
    let first = expected.symmetric_difference(&all).next();
    assert!(
        missing + more + twice == 0,
        "{what}: {missing} are missing, {more} too many, {twice} twice; such as {first:?}"
    );
}
