//! Members that come and go, and a handler that is slower than a transaction may last.

use std::time::{Duration, Instant};

use super::audit;
use super::feed::{Feed, feed_once};
use super::tally::{Instance, Stage};

/// How long members come and go, and how often.
const STORM: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_secs(2);
/// In every span of this length there is progress.
const SPAN: Duration = Duration::from_secs(10);
const RECORDS_PER_SECOND: u64 = 500;

/// How many records stand in the output topic, markers and all.
fn outputs(stage: &Stage) -> u64 {
    let told = stage.tool("get-offsets", &["--topic", "counts"]);
    let end =
        |line: &str| line.rsplit(':').next().and_then(|end| end.parse::<u64>().ok()).expect("TOPIC:PARTITION:END");
    told.lines().map(end).sum()
}

#[test]
fn while_members_come_and_go_there_is_progress_and_no_copy() {
    let Some(stage) = Stage::open("members that come and go on Kafka", &[]) else { return };
    let feed = Feed::start(&stage, RECORDS_PER_SECOND, (0..50).map(|key| format!("key-{key}")).collect());
    let mut steady = stage.start("steady");
    let mut guests: Vec<Instance> = Vec::new();
    let (begun, mut looked, mut seen, mut moves) = (Instant::now(), Instant::now(), 0, 0);
    while begun.elapsed() < STORM {
        // In turn one comes and one goes, so that one or two guests are there.
        if moves % 2 == 0 {
            guests.push(stage.start(&format!("guest-{moves}")));
        } else {
            guests.remove(0).stop();
        }
        moves += 1;
        std::thread::sleep(EVERY);
        steady.lives();
        guests.iter_mut().for_each(Instance::lives);
        if looked.elapsed() >= SPAN {
            let now = outputs(&stage);
            assert!(now > seen, "no progress in {:?}, {:?} after the begin", looked.elapsed(), begun.elapsed());
            (looked, seen) = (Instant::now(), now);
        }
    }
    let sent: u64 = feed.finish().values().sum();
    stage.drain();
    guests.iter_mut().for_each(Instance::stop);
    steady.stop();
    let applied = audit::applied_once(&stage);
    assert_eq!(applied as u64, sent);
    eprintln!("{moves} members came or went; {applied} records had their effects once");
}

#[test]
fn a_handler_slower_than_a_transaction_costs_no_record_and_no_copy() {
    let settings = ["kafka.transaction_timeout=1s"];
    let Some(stage) = Stage::open("slow handlers on Kafka", &settings) else { return };
    let slow = (1..=2).map(|number| ("slow", number));
    let others = (1..=500).flat_map(|number| [("a", number), ("b", number), ("c", number)]);
    feed_once(&stage, &slow.chain(others).collect::<Vec<_>>());
    stage.drain();
    assert_eq!(stage.open_transactions(), [""; 0], "left open");
    assert_eq!(audit::applied_once(&stage), 1_502);
}
