//! A replay beside a live group on Kafka: nobody but whoever asked for it notices.

use serde_json::{Value, json};

use crate::process::{errors_of, program, run, run_json, signal, start, totals_of};

const LINES: &str = "200000";

/// What the broker's own tools say of groups and topics, in an order that does not change.
fn seen(kafka: &devkit::kafka::Kafka) -> Vec<String> {
    let tool = |name: &str, arguments: &[&str]| {
        let output = devkit::kafka::tool(name, &[&["--bootstrap-server", &kafka.address()], arguments].concat());
        let output = output.expect("the tool can be started");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = [tool("consumer-groups", &["--describe", "--all-groups"]), tool("get-offsets", &[])].concat();
    let mut lines: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort();
    lines
}

#[test]
fn a_replay_leaves_groups_and_topics_as_they_are() {
    let kafka = devkit::kafka::own_for_tests("a replay on Kafka", &devkit::kafka::Options::default());
    let Some(kafka) = kafka else { return };
    let broker = format!("kafka://{}", kafka.address());
    let place = ["--broker", broker.as_str()];
    let good = |name: &str, arguments: &[&str]| {
        let output = run(&program(name), &[arguments, &place].concat());
        assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let replayed =
        || -> Value { run_json(&program("orders"), &[&["replay", "--diff", "--output", "json"][..], &place].concat()) };
    good("shop", &["topics", "create"]);
    good("shop", &["ingest", "--lines", LINES]);
    good("orders", &["run", "--until-drained"]);
    let before = seen(&kafka);
    assert!(before.iter().any(|line| line.starts_with("orders order-lines")), "the group is seen: {before:?}");
    let all = replayed();
    assert!(all["records"].as_u64() >= Some(200_000), "{all}");
    assert_eq!((&all["differences"], &all["equal"]), (&json!([]), &all["emitted"]));
    assert_eq!(seen(&kafka), before);

    // While the group works, with the very process of it that there was.
    let mut live = start(&program("orders"), &[&["run"][..], &place].concat());
    good("shop", &["ingest", "--lines", LINES, "--seed", "2"]);
    let beside = replayed();
    assert_eq!((&beside["differences"], &beside["failing"]), (&json!([]), &json!(0)));
    let groups = seen(&kafka);
    let members =
        groups.iter().filter(|line| line.starts_with("orders order-lines")).map(|line| line.split(' ').nth(6));
    let members: std::collections::BTreeSet<_> = members.collect();
    assert_eq!(members.len(), 1, "one member has all: {groups:?}");
    good("shop", &["run", "--services", "orders", "--until-drained"]);
    signal(&live, "TERM");
    assert!(live.wait().expect("the child is ours").success(), "{}", errors_of(&mut live));
    good("shop", &["run", "--until-drained"]);
    let report = run_json(&program("shop"), &[&["report", "--output", "json"][..], &place].concat());
    assert_eq!(totals_of(report)["lines"], json!(400_000));
    let last = replayed();
    assert_eq!((&last["differences"], &last["equal"]), (&json!([]), &last["emitted"]));
}
