//! Services on a real Kafka.

mod audit;
mod away;
mod failing;
mod feed;
mod kills;
mod mixed;
mod moves;
mod operated;
mod positions;
mod redriven;
mod refusals;
mod refused;
mod replayed;
mod secured;
mod tally;

use serde_json::Value;

pub(crate) use audit::{Shows, committed};
pub(crate) use tally::{as_str, until};

use crate::process::{errors_of, program, real_data, run, run_json, signal, start, totals_of};

#[test]
fn single_services_on_kafka_come_to_the_same() {
    let kafka = devkit::kafka::own_for_tests("single services on Kafka", &devkit::kafka::Options::default());
    let Some(kafka) = kafka else { return };
    let broker = format!("kafka://{}", kafka.address());
    let good = |name: &str, arguments: &[&str]| {
        let output = run(&program(name), &[arguments, &["--broker", &broker]].concat());
        assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    good("shop", &["topics", "create"]);
    good("shop", &["ingest", "--lines", "20000", "--seed", "7"]);
    // Each is a process and a group of its own; all run at once, and one after the other once more, in any order.
    let services = ["sales", "inventory", "orders"];
    let mut running: Vec<_> =
        services.iter().map(|name| start(&program(name), &["run", "--broker", &broker])).collect();
    for name in ["orders", "inventory", "sales"] {
        good(name, &["run", "--until-drained"]);
    }
    for instance in &mut running {
        signal(instance, "TERM");
        assert!(instance.wait().expect("the child is ours").success(), "{}", errors_of(instance));
    }
    let report = run_json(&program("shop"), &["report", "--broker", &broker, "--output", "json"]);
    let embedded = run_json(&program("shop"), &["--lines", "20000", "--seed", "7", "--output", "json"]);
    assert_eq!(totals_of(report), totals_of(embedded));
}

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
