//! The relay between rows and a log in memory, in virtual time: what it sends, what it parks, when it stops, and who relays.

use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::code::Code;
use tidemill_core::ports::{Clock as _, Fill, Lease, Which};
use tidemill_embedded::{Embedded, Local, Settings};

use crate::conformance::{Between, Draft, Effort, LEASE, LocalRows, Outboxes, Watch, each_once, relay};
use crate::fakes::{Executor, Switch, VirtualClock, block_on};

/// How long a relay sleeps that nobody wakes.
const POLL: Duration = Duration::from_millis(250);

fn log(clock: &Arc<VirtualClock>) -> Arc<Embedded> {
    Embedded::memory(&Settings::default(), Arc::<VirtualClock>::clone(clock))
}

fn between(rows: &LocalRows) -> Between<'_> {
    Between { rows, log: log(rows.clock()), clock: Arc::<VirtualClock>::clone(rows.clock()) }
}

/// Runs what a test does with rows in memory and a log.
fn test(check: impl AsyncFnOnce(&Between<'_>, &LocalRows)) {
    let rows = LocalRows::memory();
    let between = between(&rows);
    block_on(rows.clock(), async {
        between.prepare().await;
        check(&between, &rows).await;
    });
}

/// A watch that only looks on.
fn watch() -> Arc<Watch> {
    Watch::new(None, [])
}

/// The lease, for somebody else.
fn lease(holder: &str) -> Lease {
    Lease { name: "rows.relay".into(), holder: holder.into(), time: LEASE }
}

async fn is_free(rows: &LocalRows) -> bool {
    let mut outbox = rows.outbox();
    let is_free = outbox.hold(&lease("somebody"), false).await.unwrap();
    outbox.release(&lease("somebody")).await.unwrap();
    is_free
}

async fn add(rows: &LocalRows, drafts: &[(usize, Option<&'static str>, &str)]) {
    let draft = |(topic, key, value): &(usize, _, &str)| {
        let value = (*value).to_owned();
        Draft { topic: *topic, partition: None, key: *key, value }
    };
    let drafts: Vec<_> = drafts.iter().map(draft).collect();
    rows.transact(&drafts, true, Box::pin(ready(()))).await;
}

fn by_key<const N: usize>(sent: [(&str, &[usize]); N]) -> BTreeMap<String, Vec<usize>> {
    sent.into_iter().map(|(key, numbers)| (key.to_owned(), numbers.to_vec())).collect()
}

#[test]
fn a_relay_that_ends_anywhere_leaves_the_rest_to_the_next() {
    let rows = LocalRows::memory();
    rows.run(Box::pin(async {
        relay(&between(&rows), Effort::Full).await;
    }));
}

#[test]
fn a_row_that_is_refused_is_found_and_parked_and_the_others_go_on() {
    for place in 0..12_usize {
        test(async |between, rows| {
            let keys = ["a", "b", "c", "b"];
            let numbers: Vec<String> = (0..12).map(|number| number.to_string()).collect();
            let all: Vec<_> = (0..12).map(|number| (0, Some(keys[number % 4]), &*numbers[number])).collect();
            add(rows, &all).await;
            let watch = watch();
            watch.refuse(Some(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"][place]));
            between.run(&watch, 1).await;
            let mut outbox = rows.outbox();
            let parked = outbox.list(Which::Parked, None, 9).await.unwrap();
            assert_eq!(parked.len(), 1);
            assert_eq!(parked[0].value.as_deref(), Some(numbers[place].as_bytes()));
            assert_eq!(parked[0].parked.as_deref(), Some("the test's log does not take it"));
            let of_key = |key: usize| (0..12).filter(move |number| keys[number % 4] == keys[key]);
            let stands = of_key(place % 4).filter(|number| *number >= place).count();
            assert_eq!(outbox.fill().await, Ok(Fill { waiting: 0, parked: stands as u64 }));
            let sent: usize = between.sent().await.values().map(Vec::len).sum();
            assert_eq!(sent, 12 - stands, "all others are sent");
            // The log takes it after all.
            watch.refuse(None);
            assert_eq!(outbox.retry(parked[0].id, "it does now").await, Ok(true));
            between.run(&self::watch(), 1).await;
            let whole = [("a", &[0, 4, 8][..]), ("b", &[1, 3, 5, 7, 9, 11]), ("c", &[2, 6, 10])];
            assert_eq!(between.sent().await, by_key(whole));
        });
    }
}

/// Each of them would else be looked for with all the others, and nothing be sent before the last was found.
#[test]
fn rows_that_go_nowhere_do_not_hold_up_the_others() {
    let rows = LocalRows::memory();
    let between = between(&rows);
    block_on(rows.clock(), async {
        between.log.topics().create("left", 2).await.unwrap();
        let texts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let drafts: Vec<_> =
            (0..100).map(|number| (number % 2, Some(["a", "b", "c"][number % 3]), &*texts[number])).collect();
        add(&rows, &drafts).await;
        add(&rows, &[(1, None, "100"), (1, None, "101"), (0, None, "102")]).await;
        let watch = watch();
        between.run(&watch, 1).await;
        // All of them, and twice nothing.
        assert_eq!((watch.publishes(), watch.looks()), (1, 3));
        let mut outbox = rows.outbox();
        let parked = outbox.list(Which::Parked, None, 99).await.unwrap();
        assert_eq!(parked.len(), 5, "the first of each key, and those that have none");
        assert_eq!(outbox.fill().await, Ok(Fill { waiting: 0, parked: 52 }));
        // The topic is there after all.
        between.log.topics().create("right", 2).await.unwrap();
        for row in parked {
            assert_eq!(outbox.retry(row.id, "it is there").await, Ok(true));
        }
        between.run(&self::watch(), 1).await;
        assert_eq!(outbox.fill().await, Ok(Fill::default()));
    });
}

/// What a relay ends with by itself.
async fn ends_with(between: &Between<'_>, watch: &Arc<Watch>) -> Code {
    let mut relay = between.relay(watch, "relay");
    // One that goes on is not stopped before long.
    relay.run(between.clock.sleep(LEASE * 5)).await.expect_err("it has to end by itself").code
}

#[test]
fn an_outbox_that_was_restored_is_not_relayed() {
    test(async |between, rows| {
        for from in [0, 5, 10] {
            between.add(from).await;
            between.run(&watch(), 1).await;
        }
        let mut outbox = rows.outbox();
        assert_eq!(outbox.publishes("rows.relay").await, Ok(3));
        for publishes in [0, 1, 4, 5] {
            between.add(15).await;
            let before = outbox.list(Which::All, None, 99).await.unwrap();
            let watch = watch();
            watch.restore(publishes);
            assert_eq!(ends_with(between, &watch).await, Code::OUTBOX_REPLACED);
            assert_eq!(watch.publishes(), 0);
            assert!(is_free(rows).await);
            assert_eq!(outbox.list(Which::All, None, 99).await.unwrap(), before, "nothing was touched");
            let sent: Vec<_> = before.iter().map(|row| (row.id, row.event)).collect();
            outbox.delete(&sent, "rows.relay", 0).await.unwrap();
        }
        // The last publish went out, and its rows were not deleted.
        let watch = watch();
        watch.restore(2);
        between.run(&watch, 1).await;
        between.add(15).await;
        between.run(&self::watch(), 1).await;
        assert_eq!(between.sent().await, each_once(20));
    });
}

#[test]
fn another_outbox_is_not_relayed() {
    test(async |between, rows| {
        between.add(0).await;
        between.run(&watch(), 1).await;
        let local = Local::memory(Arc::<VirtualClock>::clone(rows.clock())).unwrap();
        let other = LocalRows::new(Arc::clone(rows.clock()), local);
        let (log, clock) = (Arc::clone(&between.log), Arc::clone(&between.clock));
        let followed = Between { rows: &other, log, clock };
        followed.add(5).await;
        // As far as the one before it.
        for publishes in [0, 1] {
            let watch = watch();
            watch.restore(publishes);
            assert_eq!(ends_with(&followed, &watch).await, Code::OUTBOX_REPLACED);
        }
        assert_eq!(between.sent().await, each_once(5));
    });
}

/// What TM-0806 says that an operator may do.
#[test]
fn without_its_receipts_a_relay_begins_anew() {
    test(async |between, rows| {
        for from in [0, 5] {
            between.add(from).await;
            between.run(&watch(), 1).await;
        }
        let log: Arc<Embedded> = log(rows.clock());
        let anew = Between { rows, log, clock: Arc::clone(&between.clock) };
        anew.prepare().await;
        for from in [0, 5] {
            anew.add(from).await;
            anew.run(&watch(), 1).await;
        }
        assert_eq!(anew.sent().await, each_once(10));
        assert_eq!(rows.outbox().publishes("rows.relay").await, Ok(4), "counted on");
    });
}

#[test]
fn a_relay_whose_log_does_not_answer_lets_another_one_try() {
    test(async |between, rows| {
        between.add(0).await;
        let watch = watch();
        watch.set_away(true);
        let mut relay = between.relay(&watch, "first");
        let other = async {
            for _ in 0..20 {
                rows.pass(Duration::from_millis(90)).await;
                assert!(is_free(rows).await);
            }
            watch.set_away(false);
            rows.pass(Duration::from_millis(250)).await;
            assert!(!is_free(rows).await);
        };
        // It tries until the log answers.
        relay.run(other).await.unwrap();
        assert_eq!(between.sent().await, each_once(5));
        assert_eq!(relay.sent(), 5);
    });
}

#[test]
fn a_relay_that_stops_gives_its_lease_up() {
    test(async |between, rows| {
        between.relay(&watch(), "first").run(rows.pass(LEASE * 3)).await.unwrap();
        assert!(is_free(rows).await, "asleep");
        between.add(0).await;
        let watch = watch();
        watch.slow_down(between.clock.sleep(LEASE));
        between.relay(&watch, "first").run(rows.pass(LEASE / 2)).await.unwrap();
        assert!(is_free(rows).await, "in the middle of a publish");
        between.run(&self::watch(), 1).await;
        assert_eq!(between.sent().await, each_once(5));
    });
}

#[test]
fn a_second_relay_waits_and_goes_on_where_the_first_is_silent() {
    let rows = LocalRows::memory();
    let (between, clock) = (between(&rows), rows.clock());
    block_on(clock, between.prepare());
    let watches = [watch(), watch()];
    let [mut first, mut second] =
        [("first", &watches[0]), ("second", &watches[1])].map(|(name, watch)| between.relay(watch, name));
    let mut executor = Executor::new(Arc::clone(clock));
    let first = executor.spawn(first.run(pending()));
    executor.turn();
    executor.spawn(second.run(pending()));
    for life in 1..4 {
        block_on(clock, between.add((life - 1) * 5));
        executor.run_until(|_| clock.passed() > LEASE * 2 * u32::try_from(life).unwrap()).unwrap();
    }
    assert_eq!((watches[0].publishes(), watches[1].publishes()), (3, 0));
    assert_eq!(watches[1].looks_at_nothing(), 0);
    executor.crash(first);
    block_on(clock, between.add(15));
    let silent = clock.passed();
    executor.run_until(|_| watches[1].looks_at_nothing() > 0 || clock.passed() > silent + LEASE * 5).unwrap();
    let waited = clock.passed().saturating_sub(silent);
    assert!(waited <= LEASE * 4 / 3, "{waited:?}");
    assert_eq!(block_on(clock, between.sent()), each_once(20));
}

/// Two that take the name from each other again and again would send nothing.
#[test]
fn a_relay_that_waits_for_a_slow_log_keeps_its_lease() {
    let rows = LocalRows::memory();
    let (between, clock) = (between(&rows), rows.clock());
    block_on(clock, between.prepare());
    block_on(clock, between.add(0));
    let watches = [watch(), watch()];
    watches[0].slow_down(clock.sleep(LEASE * 3));
    let [mut first, mut second] =
        [("first", &watches[0]), ("second", &watches[1])].map(|(name, watch)| between.relay(watch, name));
    let mut executor = Executor::new(Arc::clone(clock));
    executor.spawn(first.run(pending()));
    executor.turn();
    executor.spawn(second.run(pending()));
    executor.run_until(|_| watches[0].looks_at_nothing() > 0 || clock.passed() > LEASE * 9).unwrap();
    assert_eq!((watches[0].publishes(), watches[1].publishes()), (1, 0));
    assert_eq!(block_on(clock, between.sent()), each_once(5));
}

#[test]
fn a_relay_that_sleeps_is_woken() {
    let rows = LocalRows::memory();
    let (between, clock) = (between(&rows), rows.clock());
    block_on(clock, between.prepare());
    let (watch, switch) = (watch(), Switch::default());
    let mut relay = between.relay(&watch, "relay");
    let mut executor = Executor::new(Arc::clone(clock));
    let running = executor.spawn(relay.run(switch.clone().stopped()));
    executor.settle();
    for from in [0, 5, 10] {
        clock.advance(POLL / 3);
        executor.settle();
        let before = clock.passed();
        block_on(clock, between.add(from));
        executor.settle();
        assert_eq!(clock.passed(), before);
        assert_eq!(block_on(clock, between.sent()), each_once(from + 5));
    }
    assert_eq!(block_on(clock, rows.outbox().publishes("rows.relay")), Ok(3), "each is counted");
    switch.stop();
    executor.run_to_end(running).unwrap();
    assert_eq!(executor.result(running), Some(&Ok(())));
}
