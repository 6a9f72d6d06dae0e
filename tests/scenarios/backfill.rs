//! A service makes its state again from its inputs, and nothing leaves because of it; then it goes on as ever.

use serde_json::{Value, json};

use crate::process::{program, refused, run, run_json};

const QUIET: [&str; 2] = ["--set", "log.level=warn"];

/// How many records of a topic `orders` has emitted.
fn emitted(place: &[&str], topic: &str) -> usize {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("all.jsonl");
    let export = ["events", "export", "--into", &file.display().to_string()].map(str::to_owned);
    let export: Vec<&str> = export.iter().map(String::as_str).collect();
    let output = run(&program("orders"), &[&export[..], place, &QUIET].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(file).expect("it was written");
    text.lines().filter(|line| line.starts_with(&format!("{{\"topic\":\"{topic}\","))).count()
}

fn made_again(place: &[&str]) {
    let good = |name: &str, arguments: &[&str]| {
        let output = run(&program(name), &[arguments, place, &QUIET].concat());
        assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let report =
        || -> Value { run_json(&program("shop"), &[&["report", "--output", "json"][..], place, &QUIET].concat()) };
    good("shop", &["topics", "create"]);
    good("shop", &["ingest", "--lines", "5000"]);
    good("orders", &["run", "--until-drained"]);
    let (before, orders) = (report(), emitted(place, "orders"));
    assert!(before["orders"].as_u64() > Some(100) && orders > 100, "{before}");

    let refusing = |arguments: &[&str], exit: i32, words: &[&str]| {
        refused(&run(&program("orders"), &[arguments, place, &QUIET].concat()), exit, words);
    };
    refusing(&["backfill", "--execute"], 3, &["TM-0406", "--drop-state"]);
    refusing(&["backfill", "--handler", "nobody"], 2, &["TM-0104", "invoices"]);
    let plan =
        run_json(&program("orders"), &[&["backfill", "--drop-state", "--output", "json"][..], place, &QUIET].concat());
    let lines = plan.as_array().expect("a list").iter().filter(|line| line["topic"] == json!("order-lines"));
    assert!(lines.clone().all(|line| line["from"] == json!(0)) && lines.count() == 4, "{plan}");
    assert_eq!(report()["orders"], before["orders"], "nothing was changed");

    good("orders", &["backfill", "--drop-state", "--execute"]);
    assert_eq!(report()["orders"], json!(0), "it has no state until it runs");
    // What comes in meanwhile is no history.
    good("shop", &["ingest", "--lines", "1000", "--seed", "2"]);
    good("orders", &["run", "--until-drained"]);
    let (after, all) = (report(), emitted(place, "orders"));
    assert!(after["orders"].as_u64() >= before["orders"].as_u64() && all > orders + 20, "{all} events: {after}");
    // A replay knows what was only caught up with.
    let same = run_json(&program("orders"), &[&["replay", "--diff", "--output", "json"][..], place, &QUIET].concat());
    assert_eq!((&same["differences"], &same["unknown"]), (&json!([]), &json!(0)));
    let done = ["replay", "--where", "state = done", "--output", "json"];
    let done = run_json(&program("orders"), &[&done[..], place, &QUIET].concat());
    assert_eq!(done["emitted"], json!(all), "what was emitted twice, or by what was only caught up with, is one more");
    let of = ["replay", "--where", "state = backfilled", "--limit", "1", "--output", "json"];
    let caught_up = run_json(&program("orders"), &[&of[..], place, &QUIET].concat());
    assert_eq!(caught_up["units"][0]["then"], json!("backfilled"));
}

#[test]
fn in_a_directory_state_is_made_again_and_nothing_leaves() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    made_again(&["--broker", &broker]);
    let saga = run(&program("checkout"), &["backfill", "--broker", &broker]);
    refused(&saga, 3, &["TM-0408", "saga"]);
}

#[test]
fn on_kafka_state_is_made_again_and_nothing_leaves() {
    let kafka = devkit::kafka::own_for_tests("a backfill on Kafka", &devkit::kafka::Options::default());
    let Some(kafka) = kafka else { return };
    made_again(&["--broker", &format!("kafka://{}", kafka.address())]);
}

#[test]
fn with_state_in_postgres_state_is_made_again_and_nothing_leaves() {
    let options = devkit::postgres::Options::default();
    let Some(postgres) = devkit::postgres::own_for_tests("a backfill in Postgres", &options) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let url = postgres.url();
    let place = ["--broker", &broker, "--state", &url, "--set", "postgres.connections=4"];
    let migrated = run(&program("orders"), &[&["database", "migrate"], &place[2..4], &QUIET].concat());
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    made_again(&place);
    // Units that are in the state and on no page of the journal yet are not run twice.
    let snapshots = folder.path().join("snapshots").display().to_string();
    let create = ["snapshot", "create", "--into", &snapshots];
    assert!(run(&program("orders"), &[&create[..], &place, &QUIET].concat()).status.success());
    let last = ["replay", "--diff", "--last", "100", "--snapshots", &snapshots, "--output", "json"];
    let last = run_json(&program("orders"), &[&last[..], &place, &QUIET].concat());
    assert_eq!(last["differences"], json!([]));
}
