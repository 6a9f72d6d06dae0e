//! Copies of events at other positions have no effects, and where the first of each stands can be looked up.

use std::path::Path;

use serde_json::{Value, json};

use crate::process::{program, refused, run, run_json, totals_of};

fn shop(broker: &str, arguments: &[&str]) {
    let output = run(&program("shop"), &[arguments, &["--broker", broker]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The records that a file of [`write_lines`] becomes: each line, and that its invoice is closed.
const RECORDS: u64 = 1_000;

/// Feeds the same lines three times, and runs after the first and after the last: the copies are told of, and change nothing else.
fn fed_twice(broker: &str, folder: &Path) {
    let lines = folder.join("lines.csv");
    let input = ["--input", &lines.to_string_lossy()];
    let again = [&["ingest"][..], &input].concat();
    shop(broker, &["topics", "create"]);
    shop(broker, &again);
    shop(broker, &["run", "--until-drained"]);
    let report = || run_json(&program("shop"), &["report", "--broker", broker, "--output", "json"]);
    let mut once = totals_of(report());
    assert_eq!((&once["orders"], &once["copies_suppressed"]), (&json!(500), &json!(0)), "{once}");
    shop(broker, &again);
    shop(broker, &again);
    shop(broker, &["run", "--until-drained"]);
    once["copies_suppressed"] = json!(2 * RECORDS);
    assert_eq!(totals_of(report()), once, "{broker}");
    let reset = ["reset", "--to", "latest", "--state", "keep", "--execute", "--broker", broker];
    let output = run(&program("orders"), &reset);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    once["copies_suppressed"] = json!(0);
    assert_eq!(totals_of(report()), once, "{broker}: a reset forgets the ids, and the copies with them");
}

/// A few lines, each an order of its own.
fn write_lines(folder: &Path) {
    let mut lines = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n".to_owned();
    let line =
        |number: u32| format!("{},A{},THING,2,2010-12-01 08:26:00,2.55,17850,France\n", 536_000 + number, number % 7);
    lines.extend((0..500).map(line));
    std::fs::write(folder.join("lines.csv"), lines).expect("the folder is ours");
}

#[test]
fn what_is_ingested_again_counts_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_lines(folder.path());
    let broker = format!("embedded:{}", folder.path().join("log").display());
    fed_twice(&broker, folder.path());
    let place = ["--broker", broker.as_str()];
    let unknown = run(&program("shop"), &[&["inbox", "show", "--id", "nothing"], &place[..]].concat());
    refused(&unknown, 3, &["TM-0409", "nothing"]);
}

#[test]
fn on_kafka_what_is_ingested_again_counts_once() {
    let kafka = devkit::kafka::own_for_tests("copies on Kafka", &devkit::kafka::Options::default());
    let Some(kafka) = kafka else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_lines(folder.path());
    fed_twice(&format!("kafka://{}", kafka.address()), folder.path());
}

/// An event is found by what its headers say.
#[test]
fn the_first_record_of_an_event_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let tally = crate::process::example("tally");
    let place = ["--broker", broker.as_str(), "--set", "log.level=error"];
    for command in [&["feed", "--records", "100", "--keys", "10", "--steady"][..], &["run", "--until-drained"]] {
        let output = run(&tally, &[command, &place].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let asked = ["inbox", "show", "--source", "/tests/feed", "--id", "57", "--output", "json"];
    let found: Value = run_json(&tally, &[&asked, &place[..]].concat());
    let [line] = &found.as_array().expect("a list")[..] else { panic!("{found}") };
    assert_eq!((line["handler"].as_str(), line["topic"].as_str()), (Some("count"), Some("steps")));
    assert!(line["applied_at"].as_str().is_some_and(|at| at.starts_with("20")), "{found}");
}
