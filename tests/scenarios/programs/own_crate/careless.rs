use std::sync::atomic::Ordering;

use own_crate::{MAILS, Sale, forget, forgetful, mailing};
use tidemill_testkit::simulation::Simulation;

fn sale(n: i64) -> Sale {
    Sale { country: "France".to_owned(), amount_milli: n }
}

#[test]
fn a_total_in_a_static() {
    Simulation::of(forgetful).before_each(forget).feed_all((0..60).map(sale)).run(0..64);
}

#[test]
fn mails_once() {
    let mails = || MAILS.load(Ordering::Relaxed);
    let simulation = Simulation::of(mailing).before_each(|| MAILS.store(0, Ordering::Relaxed));
    simulation.watch("mails sent", mails).feed_all((0..60).map(sale)).run(0..64);
}
