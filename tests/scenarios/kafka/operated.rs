//! What operators do to a service that runs: pausing it, and stopping an instance that comes back at once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::audit;
use super::feed::feed_once;
use super::tally::{Instance, Stage, until};

/// For how long nothing may happen.
const WATCH: Duration = Duration::from_secs(3);

fn total(stage: &Stage) -> u64 {
    let report = stage.report();
    report.as_object().expect("an object").values().filter_map(serde_json::Value::as_u64).sum()
}

fn some(numbers: std::ops::RangeInclusive<u64>) -> Vec<(&'static str, u64)> {
    numbers.flat_map(|number| [("a", number), ("b", number), ("c", number)]).collect()
}

#[test]
fn a_paused_service_begins_nothing_in_any_instance_until_it_is_resumed() {
    let Some(stage) = Stage::open("a service on Kafka that is paused", &[]) else { return };
    let says = |command: &str| {
        let output = stage.call(&[command]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it speaks text")
    };
    let mut first = stage.start("first");
    feed_once(&stage, &some(1..=100));
    until("all is done", || total(&stage) == 300);
    assert_eq!(says("pause"), "tally is paused; what is under way ends and is committed\n");
    assert_eq!(says("pause"), "tally was paused before\n");
    until("it takes note", || first.errors().contains("paused by an operator"));
    feed_once(&stage, &some(101..=200));
    // Who comes meanwhile begins nothing either, and neither does who comes back.
    let mut second = stage.start("second");
    until("both have shards", || first.shards() > 0 && second.shards() > 0);
    first.stop();
    let mut first = stage.start("first");
    until("both have shards again", || first.shards() > 0 && second.shards() > 0);
    std::thread::sleep(WATCH);
    assert_eq!(total(&stage), 300);
    first.lives();
    second.lives();
    assert!(String::from_utf8_lossy(&stage.call(&["lag"]).stderr).contains("paused by an operator"));
    assert_eq!(says("resume"), "tally goes on\n");
    assert_eq!(says("resume"), "tally was not paused\n");
    until("all is done again", || total(&stage) == 600);
    first.stop();
    second.stop();
    assert_eq!(audit::applied_once(&stage), 600);
}

#[test]
fn a_static_member_that_comes_back_at_once_moves_nothing() {
    for protocol in ["classic", "consumer"] {
        let protocol = format!("kafka.group_protocol={protocol}");
        let Some(stage) = Stage::open("static members on Kafka", &["kafka.members=static", &protocol]) else { return };
        feed_once(&stage, &some(1..=100));
        let (mut one, mut two) = (stage.start("one"), stage.start("two"));
        let apart = |one: &Instance, two: &Instance| one.shards() == 6 && two.shards() == 6;
        until("both have their share", || apart(&one, &two));
        until("all is done", || total(&stage) == 300);
        let (of_one, of_two) = (one.running(), two.running());
        let moves = two.told().len();
        one.stop();
        assert_eq!(stage.open_transactions(), [""; 0], "left open");
        feed_once(&stage, &some(101..=200));
        let mut one = stage.start("one");
        until("it has its shards back", || one.running() == of_one);
        until("all is done again", || total(&stage) == 600);
        assert_eq!((two.running(), two.told().len()), (of_two, moves), "{protocol}: nothing moved");
        two.stop();
        // One that stays away is done without when its session is over.
        feed_once(&stage, &some(201..=300));
        until("the other has all", || one.running() == (0..12).collect::<BTreeSet<u32>>());
        until("all of it is done", || total(&stage) == 900);
        one.stop();
        assert_eq!(audit::applied_once(&stage), 900);
    }
}

#[test]
fn topics_are_created_as_they_are_wanted() {
    let settings = ["topics.retention_age=1h", "topics.retention_bytes=64MiB"];
    let Some(stage) = Stage::open("topics that are created on Kafka", &settings) else { return };
    let describe = |topic| stage.tool("configs", &["--describe", "--entity-type", "topics", "--entity-name", topic]);
    let events = describe("steps");
    for setting in ["retention.ms=3600000", "retention.bytes=67108864"] {
        assert!(events.contains(setting), "{setting}: {events}");
    }
    for topic in ["tally.changelog", "tally.operations"] {
        let own = describe(topic);
        assert!(own.contains("cleanup.policy=compact") && !own.contains("retention.ms=3600000"), "{own}");
        assert!(own.contains("max.message.bytes=1114124"), "64 KiB more than the inputs: {own}");
    }
    let journal = describe("tally.journal");
    assert!(!journal.contains("cleanup.policy=compact"), "its records have no keys: {journal}");
    let partitions = stage.tool("topics", &["--describe", "--topic", "tally.operations"]);
    assert!(partitions.contains("PartitionCount: 1"), "{partitions}");
}

#[test]
fn a_static_member_needs_a_name_that_stays() {
    let Some(stage) = Stage::open("static members without a name", &["kafka.members=static"]) else { return };
    let output = stage.run(&[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("error TM-0102: kafka.members=static needs a name that stays"), "{errors}");
}
