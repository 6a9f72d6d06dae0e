//! Positions that are moved: by the service's own command, by others, and under a service that runs.

use devkit::kafka::Options;

use super::audit;
use super::feed::feed_once;
use super::tally::{Stage, until};

const ALL: usize = 300;

fn counts(stage: &Stage) -> Vec<u64> {
    let report = stage.report();
    report.as_object().expect("an object").values().map(|count| count.as_u64().expect("a number")).collect()
}

#[test]
fn positions_move_with_the_state_or_not_at_all() {
    let Some(stage) = Stage::open("positions on Kafka", &[]) else { return };
    feed_once(&stage, &(1..=100).flat_map(|number| [("a", number), ("b", number), ("c", number)]).collect::<Vec<_>>());
    stage.drain();
    assert_eq!(audit::applied_once(&stage), ALL);
    // Kafka's own tool sees a group as any other.
    let group = ["--describe", "--group", "tally"];
    let described = stage.tool("consumer-groups", &group);
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let titles = described.lines().map(columns).find(|line| line.contains(&"LAG".to_owned())).expect("a title");
    let lag = titles.iter().position(|title| title == "LAG").expect("just found");
    let lines: Vec<_> = described.lines().map(columns).filter(|line| line.iter().any(|word| word == "steps")).collect();
    assert_eq!(lines.len(), 3, "of the partitions that have records: {described}");
    assert!(lines.iter().all(|line| line[lag] == "0"), "{described}");
    // Moved by others: refused, and nothing is done twice.
    let earliest = ["--reset-offsets", "--to-earliest", "--topic", "steps", "--execute"];
    stage.tool("consumer-groups", &[&["--group", "tally"], &earliest[..]].concat());
    let refused = |what: &str| {
        let output = stage.run(&[]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{what}: {errors}");
        assert!(errors.contains("error TM-0604: "), "{what}: {errors}");
    };
    refused("offsets that were set back");
    stage.tool("consumer-groups", &["--delete", "--group", "tally"]);
    refused("offsets that are gone");
    assert_eq!(counts(&stage), [100, 100, 100]);
    // The service's own command moves both, and not while it runs.
    let reset = ["reset", "--to", "earliest", "--state", "drop", "--execute"];
    let done = stage.call(&reset);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(counts(&stage).is_empty(), "the state is gone");
    let mut instance = stage.start("one");
    until("all is done again", || counts(&stage) == [100, 100, 100]);
    let active = stage.call(&reset);
    let errors = String::from_utf8_lossy(&active.stderr);
    assert_eq!(active.status.code(), Some(3), "{errors}");
    assert!(errors.contains("error TM-0407: "), "{errors}");
    instance.stop();
    assert_eq!(counts(&stage), [100, 100, 100]);
}

/// More than can be moved while a membership lasts that nobody looks after.
const MANY: u32 = 96;

#[test]
fn many_shards_are_moved_in_one_go() {
    // A member has to be looked after every second.
    let short =
        Options { properties: vec![("group.min.session.timeout.ms".into(), "100".into())], ..Options::default() };
    let partitions = format!("topics.partitions={MANY}");
    let settings = [partitions.as_str(), "kafka.session_timeout=1s", "kafka.heartbeat=100ms", "drain=500ms"];
    let Some(stage) = Stage::without_topics("positions of many shards on Kafka", &short, &settings) else { return };
    let good = |command: &[&str]| {
        let output = stage.call(command);
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    good(&["topics"]);
    feed_once(&stage, &(1..=100).map(|number| ("a", number)).collect::<Vec<_>>());
    stage.drain();
    good(&["reset", "--to", "earliest", "--state", "drop", "--execute"]);
    assert!(counts(&stage).is_empty(), "the state is gone");
}
