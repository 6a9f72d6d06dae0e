//! The shop killed at random moments, and asked to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::process::{errors_of, program, real_data, run, run_json, signal, start, totals_of, until_said};

/// How often the run is killed before it may end.
const KILLS: usize = 5;

/// A few different waits, so that the kills meet start, load, and end of a run. No figure of the test hangs on them.
fn waits(seed: u64) -> impl Iterator<Item = Duration> {
    const SHORTEST_MS: u64 = 60;
    const SPAN_MS: u64 = 900;
    (1_u64..).map(move |round| {
        let mixed = (seed + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        Duration::from_millis(SHORTEST_MS + mixed % SPAN_MS)
    })
}

/// The shop's directory and store as arguments.
struct Place {
    broker: String,
    store: &'static str,
}

impl Place {
    fn arguments<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        [command, &["--broker", &self.broker, "--store", self.store]].concat()
    }
}

fn killed_and_run_again(store: &'static str, input: &[&str], expected: &Value, folder: &Path) {
    let shop = program("shop");
    let place = Place { broker: format!("embedded:{}", folder.join(store).display()), store };
    let ingested = run(&shop, &place.arguments(&[&["ingest"], input].concat()));
    assert!(ingested.status.success(), "{}", String::from_utf8_lossy(&ingested.stderr));
    let mut landed = 0;
    for wait in waits(u64::from(std::process::id())).take(KILLS) {
        let mut child = start(&shop, &place.arguments(&["run", "--until-drained"]));
        std::thread::sleep(wait);
        if child.try_wait().expect("the child is ours").is_none() {
            landed += 1;
        }
        // A process that ended by itself before its kill is no failure; the count below says how many were hit.
        let _ = child.kill();
        child.wait().expect("the child is ours");
    }
    let output = run(&shop, &place.arguments(&["run", "--until-drained"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = run_json(&shop, &place.arguments(&["report", "--output", "json"]));
    assert_eq!(totals_of(report), *expected, "{store} after {landed} kills that hit");
    assert!(landed > 0, "no kill hit a running process");
}

/// What to feed, and what it has to come to without any kill.
fn workload() -> (Vec<String>, Value) {
    let input: Vec<String> = match real_data() {
        Some(data) => vec!["--input".into(), data.to_string_lossy().into_owned()],
        None => vec!["--lines".into(), "100000".into()],
    };
    let arguments: Vec<&str> = input.iter().map(String::as_str).chain(["--output", "json"]).collect();
    let whole = run_json(&program("shop"), &arguments);
    (input, totals_of(whole))
}

#[test]
fn killed_five_times_the_totals_are_the_same() {
    let (input, expected) = workload();
    let input: Vec<&str> = input.iter().map(String::as_str).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for store in ["sled", "fjall"] {
        killed_and_run_again(store, &input, &expected, folder.path());
    }
}

#[test]
fn a_request_to_stop_drains_commits_and_leaves() {
    let shop = program("shop");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = Place { broker: format!("embedded:{}", folder.path().join("shop").display()), store: "fjall" };
    let ingested = run(&shop, &place.arguments(&["ingest", "--lines", "100000"]));
    assert!(ingested.status.success(), "{}", String::from_utf8_lossy(&ingested.stderr));
    for name in ["TERM", "INT"] {
        let mut child = start(&shop, &place.arguments(&["run"]));
        until_said(&mut child, "starting");
        std::thread::sleep(Duration::from_millis(400));
        signal(&child, name);
        let status = child.wait().expect("the child is ours");
        assert!(status.success(), "after {name}: {status}, {}", errors_of(&mut child));
    }
    let output = run(&shop, &place.arguments(&["run", "--until-drained"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = run_json(&shop, &place.arguments(&["report", "--output", "json"]));
    let whole = run_json(&shop, &["--lines", "100000", "--output", "json"]);
    assert_eq!(totals_of(report), totals_of(whole));
}

#[test]
fn a_demo_that_is_told_to_stop_leaves_the_rest_to_a_run() {
    let shop = program("shop");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = Place { broker: format!("embedded:{}", folder.path().join("shop").display()), store: "sled" };
    // More than any machine does before the signal. Before it is at work, a signal ends it as it ends any process.
    let mut child = start(&shop, &place.arguments(&["--lines", "3000000"]));
    until_said(&mut child, "starting");
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, "TERM");
    let status = child.wait().expect("the child is ours");
    assert_eq!(status.code(), Some(6), "{}", errors_of(&mut child));
    let output = run(&shop, &place.arguments(&["run", "--until-drained"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = run_json(&shop, &place.arguments(&["report", "--output", "json"]));
    assert!(report["lines"].as_i64().is_some_and(|lines| lines > 0), "{report}");
}

#[test]
fn a_directory_in_use_is_refused_and_unharmed() {
    let shop = program("shop");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let directory: PathBuf = folder.path().join("shop");
    let place = Place { broker: format!("embedded:{}", directory.display()), store: "fjall" };
    assert!(run(&shop, &place.arguments(&["ingest", "--lines", "100"])).status.success());
    let mut holder = start(&shop, &place.arguments(&["run"]));
    until_said(&mut holder, "starting");
    let refused = run(&shop, &place.arguments(&["report"]));
    signal(&holder, "TERM");
    assert!(holder.wait().expect("the child is ours").success());
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("TM-0301"));
}
