//! Services on a real Kafka.

mod audit;
mod feed;
mod kills;
mod moves;
mod refusals;
mod refused;
mod tally;

use serde_json::Value;

use crate::process::{program, real_data, run, run_json, totals_of};

/// Runs the shop's commands one after the other on a Kafka of its own, and reports.
fn on_kafka(input: &[&str]) -> Option<Value> {
    let kafka = devkit::kafka::own_for_tests("the shop on Kafka", &devkit::kafka::Options::default())?;
    let broker = format!("kafka://{}", kafka.address());
    let shop = |arguments: &[&str], more: &[&str]| {
        let arguments = [arguments, &["--broker", &broker], more].concat();
        let output = run(&program("shop"), &arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    shop(&["topics", "create"], &[]);
    shop(&["ingest"], input);
    shop(&["run", "--until-drained"], &[]);
    // Nothing is left, and nothing is done twice.
    shop(&["run", "--until-drained"], &[]);
    Some(run_json(&program("shop"), &["report", "--broker", &broker, "--output", "json"]))
}

#[test]
fn on_kafka_the_shop_has_the_totals_of_the_embedded_run() {
    let input = ["--lines", "20000", "--seed", "7"];
    let Some(report) = on_kafka(&input) else { return };
    let embedded = run_json(&program("shop"), &[&input[..], &["--output", "json"]].concat());
    assert_eq!(totals_of(report), totals_of(embedded));
}

#[test]
fn on_kafka_the_real_data_has_its_totals() {
    let Some(data) = real_data() else { return };
    let input = ["--input", &data.to_string_lossy()];
    let Some(report) = on_kafka(&input) else { return };
    let embedded = run_json(&program("shop"), &[&input[..], &["--output", "json"]].concat());
    assert_eq!(totals_of(report), totals_of(embedded));
}
