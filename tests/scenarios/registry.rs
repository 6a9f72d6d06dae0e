//! Services with a schema registry: a real one, beside a real Kafka.

use std::path::Path;
use std::time::{Duration, Instant};

use devkit::kafka::{self, Kafka};
use devkit::registry::{self, Registry};
use serde_json::Value;

use crate::process::{errors_of, program, refused, run, run_json, signal, start, totals_of};

/// How long anything may take that has to come about, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
const SERVICES: [&str; 3] = ["orders", "inventory", "sales"];
const FIRST: [&str; 4] = ["--lines", "20000", "--seed", "7"];
const SECOND: [&str; 4] = ["--lines", "5000", "--seed", "8"];
const THIRD: [&str; 4] = ["--lines", "100", "--seed", "9"];

/// The shop on a Kafka and with a registry of its own.
struct Stage {
    kafka: Kafka,
    registry: Registry,
    folder: tempfile::TempDir,
}

impl Stage {
    fn open(what: &str) -> Option<Self> {
        let kafka = kafka::own_for_tests(what, &kafka::Options::default())?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Self { kafka, registry: registry::own_for_tests(what)?, folder })
    }

    fn broker(&self) -> String {
        format!("kafka://{}", self.kafka.address())
    }

    /// What a program needs to find Kafka, the registry, and what it kept of both.
    fn settings(&self) -> Vec<String> {
        let state = self.folder.path().join("state").display().to_string();
        let url = format!("registry.url={}", self.registry.url());
        ["--broker", &self.broker(), "--state-dir", &state, "--set", &url].map(str::to_owned).into()
    }

    /// Runs a command of the shop that has to end well.
    fn good(&self, command: &[&str]) {
        let settings = self.settings();
        let arguments: Vec<&str> = command.iter().copied().chain(settings.iter().map(String::as_str)).collect();
        let output = run(&program("shop"), &arguments);
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a command that has to end with this exit code and an error of this code, which says all of these words.
    fn refused(&self, name: &str, command: &[&str], exit: i32, words: &[&str]) {
        refused(&run(&program(name), &[command, &["--broker", &self.broker()]].concat()), exit, words);
    }

    /// Waits until no service has anything left to do.
    fn until_drained(&self) {
        let begun = Instant::now();
        let is_behind = |name: &&str| {
            let lag = run_json(&program(name), &["lag", "--output", "json", "--broker", &self.broker()]);
            lag.as_array().expect("a list").iter().any(|line| line["records"] != 0)
        };
        while SERVICES.iter().any(is_behind) {
            assert!(begun.elapsed() < PATIENCE, "it is not done within {PATIENCE:?}");
        }
    }

    /// The values of a topic, each as text in which a byte that is no letter is `\xNN`.
    fn values(&self, topic: &str) -> Vec<String> {
        let address = self.kafka.admin_address();
        let bytes = "org.apache.kafka.common.serialization.BytesDeserializer";
        let reading = ["--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", "5000"];
        let asking = ["--bootstrap-server", &address, "--topic", topic, "--value-deserializer", bytes];
        let output = self.kafka.tool("console-consumer", &[&asking[..], &reading[..]].concat());
        let output = output.expect("the tool can be started");
        String::from_utf8(output.stdout).expect("the tool speaks text").lines().map(str::to_owned).collect()
    }
}

/// The totals of the same inputs without a registry, in a directory.
fn embedded(folder: &Path) -> Value {
    let broker = format!("embedded:{}", folder.join("log").display());
    let shop = |command: &[&str]| {
        let output = run(&program("shop"), &[command, &["--broker", &broker]].concat());
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    shop(&[&["ingest"], &FIRST[..]].concat());
    shop(&[&["ingest"], &SECOND[..]].concat());
    shop(&["run", "--until-drained"]);
    totals_of(run_json(&program("shop"), &["report", "--broker", &broker, "--output", "json"]))
}

#[test]
fn with_a_registry_the_shop_has_the_same_totals_also_while_the_registry_is_away() {
    let Some(mut stage) = Stage::open("the shop with a schema registry") else { return };
    let url = format!("registry.url={}", stage.registry.url());
    let register = ["--set", "registry.register=missing"];
    stage.good(&["topics", "create"]);
    let words = ["TM-0703", "shop.order-line-recorded version 1", "subject order-lines-value", "registry.register"];
    stage.refused("shop", &[&["ingest", "--set", &url], &FIRST[..]].concat(), 3, &words);
    stage.refused("orders", &["run", "--set", &url], 3, &["TM-0703", "subject orders-value"]);
    assert_eq!(stage.values("order-lines"), [""; 0]);
    stage.good(&[&["ingest"], &register[..], &FIRST].concat());
    let settings = stage.settings();
    let running = [&["run"], &register[..], &settings.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let mut services = start(&program("shop"), &running);
    stage.until_drained();

    // What is known goes on without it, and so does who starts with what was kept.
    stage.registry.stop().expect("it stops when told");
    stage.good(&[&["ingest"], &SECOND[..]].concat());
    stage.until_drained();
    signal(&services, "TERM");
    assert!(services.wait().expect("the child is ours").success(), "{}", errors_of(&mut services));
    stage.good(&["run", "--until-drained"]);
    let report = run_json(&program("shop"), &["report", "--broker", &stage.broker(), "--output", "json"]);
    assert_eq!(totals_of(report), embedded(stage.folder.path()));
    for topic in ["order-lines", "orders", "stock", "country-sales", "month-sales"] {
        let values = stage.values(topic);
        assert!(!values.is_empty(), "{topic} is empty");
        // A zero, and an id of four bytes that has to be small.
        let odd = values.iter().find(|value| !value.starts_with("\\x00\\x00\\x00\\x00"));
        assert_eq!(odd, None, "in {topic}");
    }

    // Nothing was kept here, and nobody answers.
    stage.refused("orders", &["run", "--set", &url], 5, &["TM-0701", &stage.registry.url()]);
    // Without a registry, a framed value is nothing that can be read.
    stage.good(&[&["ingest"], &THIRD[..]].concat());
    let words = ["TM-0503", "order-lines-", "registry.url is not set"];
    let stops = ["--set", "failures.undecodable.then=stop"];
    stage.refused("orders", &[&["run", "--until-drained"], &stops[..]].concat(), 1, &words);
    stage.registry.restart().expect("it starts again");
    stage.good(&["run", "--until-drained"]);
}

#[test]
fn a_registry_that_cannot_be_meant_is_refused_with_a_code() {
    let shop = |settings: &[&str], exit: i32, words: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments: Vec<&str> = ["--lines", "10"].into_iter().chain(settings).collect();
        refused(&run(&program("shop"), &arguments), exit, words);
    };
    shop(&["registry.url=http://127.0.0.1:1"], 5, &["TM-0701", "http://127.0.0.1:1", "Connection refused"]);
    shop(&["registry.url=registry:8081"], 2, &["TM-0102", "registry.url"]);
    let password = ["registry.url=http://registry", "registry.user=orders", "registry.password=wonder"];
    shop(&password, 2, &["TM-0102", "registry.allow_plaintext_password"]);
}
