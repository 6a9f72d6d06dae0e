//! Relays and services that stand still while they hold something.

use std::time::Duration;

use super::audit;
use super::orders::{Client, Orders};
use super::stage::Stage;
use crate::kafka::until;

const ORDERS: usize = 10_000;
/// Of each of the clients, so that there are orders until the end.
const PAUSE: Duration = Duration::from_millis(10);
/// More than a session lasts, and a lease.
const LONG: Duration = Duration::from_secs(9);

#[test]
fn another_relay_goes_on_where_one_stands_still_or_is_killed() {
    let Some(stage) = Stage::open("two relays") else { return };
    let (mut service, mut storefront) = (stage.bookings("service"), stage.storefront());
    let mut first = stage.relay("first");
    until("the service has its shards", || {
        stage.number("select count(*) from tidemill.shard where service = 'bookings'") == Some(4)
    });
    let orders = Orders::start(stage.address, ORDERS, PAUSE);
    let booked = || stage.number("select count(*) from bookings.booked").expect("the database answers");
    until("the first one relays", || booked() > 100);
    let mut second = stage.relay("second");
    first.signal("STOP");
    let (before, holder) = (booked(), stage.holder());
    until("the second one goes on", || stage.holder() != holder && booked() > before + 200);
    first.signal("CONT");
    until("both have run beside each other", || booked() > before + 800);
    second.end("KILL");
    let before = booked();
    until("the first one goes on", || booked() > before + 200);
    second.start();
    let answers = orders.finish();
    stage.settle();
    for process in [&mut first, &mut second, &mut service, &mut storefront] {
        process.lives();
        process.end("TERM");
    }
    let taken = audit::once(&stage, &answers);
    assert_eq!(taken + answers.refused.len(), ORDERS);
}

#[test]
fn an_owner_that_stands_still_in_a_unit_delays_nobody_and_commits_nothing() {
    let Some(stage) = Stage::open("an owner that stands still") else { return };
    let (storefront, relay) = (stage.storefront(), stage.relay("relay"));
    let mut paused = stage.bookings("paused");
    let client = Client::new(stage.address);
    let booked = |order: &str| {
        let query = format!("select count(*) from bookings.booked where order_id = '{order}'");
        stage.number(&query).expect("the database answers")
    };
    let first = client.order_from("France", "first");
    until("the owner books", || booked(&first) == 1);
    let slow = client.order_from("Slow", "slow");
    // Its rows are written, and its transaction is open.
    let in_the_middle = "select count(*) from pg_stat_activity where state = 'idle in transaction'";
    until("the unit is under way", || stage.number(in_the_middle) == Some(1));
    paused.signal("STOP");
    let mut next = stage.bookings("next");
    until("the next owner books it", || booked(&slow) == 1);
    let after = client.order_from("France", "after");
    until("and what came after it for the same customer", || booked(&after) == 1);
    std::thread::sleep(LONG);
    paused.signal("CONT");
    until("the paused one is refused", || {
        paused.lives();
        paused.said().contains("commit failed")
    });
    eprintln!("{}", paused.said());
    stage.settle();
    for mut process in [paused, storefront, relay] {
        process.end("TERM");
    }
    next.end("TERM");
    let all = stage.number("select orders from bookings.customer where name = 'customer-1'");
    assert_eq!(all, Some(3), "the numbers of the customer's orders");
}
