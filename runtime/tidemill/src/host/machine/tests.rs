use std::sync::mpsc::sync_channel;

use tidemill_core::ports::{Blocking, Clock, Random};
use tidemill_core::time::Timestamp;

use super::{SplitMix, Threads, WallClock};

#[test]
fn splitmix_gives_the_numbers_of_its_authors() {
    let random = SplitMix::new(1_234_567);
    let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    assert_eq!(expected.map(|_| random.next()), expected);
}

#[test]
fn two_workers_draw_different_numbers() {
    assert_ne!(SplitMix::seeded().next(), SplitMix::seeded().next());
}

#[test]
fn the_clock_is_the_walls() {
    let long_ago = Timestamp::parse("2020-01-01T00:00:00Z").expect("a time");
    assert!(WallClock.now() > long_ago);
}

#[test]
fn blocking_work_runs_on_another_thread_and_a_panic_there_harms_nobody() {
    let threads = Threads::new();
    threads.run(Box::new(|| panic!("a fault of the work")));
    let (send, receive) = sync_channel(1);
    threads.run(Box::new(move || send.send(std::thread::current().id()).expect("the test waits")));
    assert_ne!(receive.recv().expect("the work runs"), std::thread::current().id());
}
