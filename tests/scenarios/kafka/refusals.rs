//! What cannot work on Kafka: one clear line with its code, soon, and without harm.

use std::time::{Duration, Instant};

use devkit::kafka::Options;

use super::feed::feed_once;
use super::tally::{Stage, until};
use crate::process::refused;

/// How long a refusal may take: one question that nobody answers, and a start on a busy machine.
const SOON: Duration = Duration::from_secs(30);

fn soon<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let answer = act();
    assert!(begun.elapsed() < SOON, "{what} took {:?}", begun.elapsed());
    answer
}

#[test]
fn a_cluster_that_is_not_there_or_not_as_needed_is_refused() {
    let Some(stage) = Stage::without_topics("what Kafka refuses", &Options::default(), &[]) else { return };
    let output = soon("a wrong address", || stage.call_at("127.0.0.1:1", &["run"]));
    refused(&output, 5, &["TM-0601", "no broker answers at 127.0.0.1:1"]);
    let output = soon("a missing topic", || stage.call(&["run"]));
    refused(&output, 3, &["TM-0401", "topic steps", "topics create --broker kafka://"]);
    let set = ["--set", "kafka.client.security.protocol=sasl_plaintext"];
    refused(&stage.call(&[&["run"], &set[..]].concat()), 2, &["TM-0102", "kafka.allow_sasl_plaintext"]);
    let set = ["--set", "kafka.client.isolation.level=read_uncommitted"];
    refused(&stage.call(&[&["run"], &set[..]].concat()), 2, &["TM-0102", "isolation.level"]);
    let set = ["--set", "kafka.client.no.such.thing=1"];
    refused(&stage.call(&[&["run"], &set[..]].concat()), 2, &["TM-0102", "no.such.thing"]);
    // A changelog for fewer shards than there are.
    let create = |topic: &str, partitions: &str, config: &[&str]| {
        stage.tool("topics", &[&["--create", "--topic", topic, "--partitions", partitions], config].concat());
    };
    create("steps", "12", &[]);
    create("counts", "12", &[]);
    create("tally.operations", "1", &[]);
    create("tally.internal", "12", &[]);
    create("tally.dead-letters", "12", &[]);
    create("tally.journal", "12", &[]);
    create("tally.changelog", "5", &[]);
    let output = soon("a small changelog", || stage.call(&["run"]));
    refused(&output, 3, &["TM-0402", "tally.changelog has 5 partitions", "have 12"]);
    // One that was made by hand, with what a topic has that keeps events for a while.
    stage.tool("topics", &["--delete", "--topic", "tally.changelog"]);
    until("it is gone", || !stage.tool("topics", &["--list"]).contains("tally.changelog"));
    create("tally.changelog", "12", &["--config", "delete.retention.ms=60000"]);
    let mut settings = Vec::new();
    loop {
        let output = soon("a changelog that loses state", || stage.run(&[]));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            break;
        }
        refused(&output, 3, &["TM-0607", "topic tally.changelog has ", "kafka-configs.sh --bootstrap-server "]);
        let (_, options) = errors.split_once("--alter ").expect("the command is there");
        let options: Vec<&str> = options.lines().next().unwrap_or_default().split_whitespace().collect();
        settings.push(options.last().expect("the setting").to_string());
        stage.tool("configs", &[&["--alter"], &options[..]].concat());
        assert!(settings.len() < 5, "it never suits: {errors}");
    }
    assert_eq!(settings, ["cleanup.policy=compact", "delete.retention.ms=86400000", "max.message.bytes=1114124"]);
}

#[test]
fn what_changes_under_load_stops_the_service_with_a_code() {
    let settings = ["kafka.client.topic.metadata.refresh.interval.ms=1000"];
    let Some(stage) = Stage::open("topics of Kafka that change under load", &settings) else { return };
    feed_once(&stage, &(1..=500).flat_map(|number| [("a", number), ("b", number)]).collect::<Vec<_>>());
    let mut instance = stage.start("one");
    until("it runs", || instance.shards() == 12);
    stage.tool("topics", &["--alter", "--topic", "steps", "--partitions", "13"]);
    let code = instance.ends();
    let errors = instance.errors();
    assert_eq!(code, Some(3), "{errors}");
    assert!(
        errors.contains("error TM-0402: steps has partition 12, and service tally began with 12 partitions"),
        "{errors}"
    );
    // The same is told at the next start.
    refused(&stage.call(&["run"]), 3, &["TM-0402", "tally.changelog has 12 partitions", "have 13"]);
}

#[test]
fn a_topic_that_vanishes_stops_the_service_with_a_code() {
    for topic in ["steps", "counts", "tally.changelog"] {
        let settings = ["kafka.client.topic.metadata.refresh.interval.ms=1000"];
        let Some(stage) = Stage::open("topics of Kafka that vanish", &settings) else { return };
        feed_once(&stage, &[("a", 1), ("b", 1)]);
        let mut instance = stage.start("one");
        until("it runs", || instance.shards() == 12);
        stage.tool("topics", &["--delete", "--topic", topic]);
        if topic != "steps" {
            // It is missed when something is written to it.
            feed_once(&stage, &[("a", 2), ("b", 2)]);
        }
        let code = instance.ends();
        let errors = instance.errors();
        assert_eq!(code, Some(3), "{topic}: {errors}");
        let named = |line: &str| line.starts_with("error TM-0401: ") && line.contains(topic);
        assert_eq!(errors.lines().filter(|line| named(line)).count(), 1, "{topic}: {errors}");
    }
}

/// A broker that wants names and passwords, and allows only what it was told.
fn guarded() -> Options {
    let property = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let users = "org.apache.kafka.common.security.plain.PlainLoginModule required user_tally=\"right\";";
    let properties = [
        ("listener.security.protocol.map", "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("listener.name.client.sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.client.plain.sasl.jaas.config", users),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ];
    Options { properties: properties.map(property).into(), ..Options::default() }
}

#[test]
fn a_wrong_password_and_everything_that_is_not_allowed_is_named() {
    let settings = [
        "kafka.allow_sasl_plaintext=true",
        "kafka.client.security.protocol=sasl_plaintext",
        "kafka.client.sasl.mechanism=PLAIN",
        "kafka.client.sasl.username=tally",
        "kafka.client.sasl.password=right",
    ];
    let Some(stage) = Stage::without_topics("a Kafka with passwords", &guarded(), &settings) else { return };
    let output = soon("a wrong password", || stage.call(&["run", "--set", "kafka.client.sasl.password=wrong"]));
    refused(&output, 4, &["TM-0602"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("wrong"), "the password shows");
    let all = ["steps", "counts", "tally.internal", "tally.dead-letters", "tally.journal", "tally.changelog"];
    for (topic, partitions) in all.map(|topic| (topic, "12")).into_iter().chain([("tally.operations", "1")]) {
        stage.tool("topics", &["--create", "--topic", topic, "--partitions", partitions]);
    }
    feed_once(&stage, &[("a", 1)]);
    // Each step is told what it lacks, and the command that it is told mends it.
    let mut steps = 0;
    loop {
        let output = soon("what is not allowed", || stage.run(&[]));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            break;
        }
        refused(&output, 4, &["TM-0603", "tally may not "]);
        let (_, options) = errors.split_once("--add ").expect("the command is there");
        let options = options.lines().next().unwrap_or_default().trim();
        stage.tool("acls", &["--add"].into_iter().chain(options.split(' ')).collect::<Vec<_>>());
        steps += 1;
        assert!(steps < 20, "it never has enough: {errors}");
    }
    assert!(steps >= 4, "{steps} steps");
    assert_eq!(stage.report()["a"], 1);
}
