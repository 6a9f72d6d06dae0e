//! The independent checker: it reads the topics with Kafka's own consumer, committed records only, and knows nothing of
//! tidemill.

use std::collections::BTreeMap;

use devkit::kafka::Kafka;
use serde_json::Value;

use super::tally::Stage;

/// What came in for a key, and what went out for it, each in the order of its partition.
#[derive(Default)]
struct Key {
    inputs: Vec<u64>,
    outputs: Vec<(u64, u64)>,
}

/// Every record had its effects once, in the order of its key, and outputs and state agree. Answers how many records there were.
pub(super) fn applied_once(stage: &Stage) -> usize {
    applied_once_but(stage, |_, _| false)
}

/// The same, but that what was a dead letter may have had its effects after newer records of its key.
pub(super) fn applied_once_but(stage: &Stage, was_letter: impl Fn(&str, u64) -> bool) -> usize {
    let mut keys = BTreeMap::<String, Key>::new();
    for (key, value) in read(stage, "steps") {
        keys.entry(key).or_default().inputs.push(number(&value, "number"));
    }
    for (key, value) in read(stage, "counts") {
        assert_eq!(value["key"], key.as_str(), "an output under another key");
        let output = (number(&value, "number"), number(&value, "count"));
        keys.entry(key).or_default().outputs.push(output);
    }
    let report = stage.report();
    let kept = report.as_object().expect("the report is an object");
    for (key, Key { inputs, outputs }) in &keys {
        let numbers = || outputs.iter().map(|(number, _)| *number);
        let in_order = |number: &u64| !was_letter(key, *number);
        same(key, "the order", numbers().filter(in_order), inputs.iter().copied().filter(in_order));
        same(key, "all of them", sorted(numbers()), sorted(inputs.iter().copied()));
        same(key, "the count", outputs.iter().map(|(_, count)| *count), (1..).take(inputs.len()));
        assert_eq!(kept.get(key).and_then(Value::as_u64), Some(inputs.len() as u64), "the state of {key}");
    }
    assert_eq!(kept.len(), keys.len(), "keys in the state and in the topics");
    keys.values().map(|key| key.inputs.len()).sum()
}

fn sorted(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// What of a key is as it should be, one after the other.
fn same(key: &str, what: &str, is: impl IntoIterator<Item = u64>, should: impl IntoIterator<Item = u64>) {
    let (is, should): (Vec<u64>, Vec<u64>) = (is.into_iter().collect(), should.into_iter().collect());
    let differs = is.iter().zip(&should).position(|(is, should)| is != should);
    let at = differs.unwrap_or(is.len().min(should.len()));
    assert!(
        is == should,
        "{key}: {what}: {} went out and should be {}; the first that differs is {:?}, and should be {:?}",
        is.len(),
        should.len(),
        is.get(at),
        should.get(at),
    );
}

pub(super) fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{value} has no {field}"))
}

/// All committed records of a topic, key and value; those of one key in their order.
pub(super) fn read(stage: &Stage, topic: &str) -> Vec<(String, Value)> {
    let all = committed(&stage.kafka, topic, Shows::Values);
    all.into_iter().map(|(key, value)| (key, serde_json::from_str(&value).expect("values are JSON"))).collect()
}

/// What is printed of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Their keys: values are no text.
    Keys,
    /// Keys and values.
    Values,
}

/// All committed records of a topic as Kafka's own consumer prints them: key and value, those of one key in their order.
pub(crate) fn committed(kafka: &Kafka, topic: &str, shows: Shows) -> Vec<(String, String)> {
    let address = kafka.admin_address();
    let value = format!("print.value={}", shows == Shows::Values);
    let arguments = [
        "--bootstrap-server",
        &address,
        "--topic",
        topic,
        "--from-beginning",
        "--isolation-level",
        "read_committed",
        // Long enough to notice a reader that is held back by an open transaction, which sees less then.
        "--timeout-ms",
        "5000",
        "--formatter-property",
        "print.key=true",
        "--formatter-property",
        &value,
        "--formatter-property",
        "key.separator=|",
    ];
    let output = kafka.tool("console-consumer", &arguments).expect("the tool can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("what is printed is text");
    let record = |line: &str| {
        let (key, value) = line.split_once('|').unwrap_or((line, ""));
        (key.to_owned(), value.to_owned())
    };
    printed.lines().map(record).collect()
}
