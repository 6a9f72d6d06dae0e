//! Records at a steady rate, written by Kafka's own producer.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tally::Stage;

const TOPIC: &str = "steps";
/// How often records are written.
const EVERY: Duration = Duration::from_millis(20);
/// What the producer needs to go on for as long as a broker is away.
const PROPERTIES: &[&str] =
    &["acks=all", "enable.idempotence=true", "delivery.timeout.ms=120000", "request.timeout.ms=5000", "linger.ms=5"];

/// A producer that is written to.
pub(super) struct Feed {
    producer: Child,
    stop: Arc<AtomicBool>,
    writer: JoinHandle<BTreeMap<String, u64>>,
}

impl Feed {
    /// Begins to write so many records a second, over these keys in turn, each key's records numbered from 1.
    pub(super) fn start(stage: &Stage, per_second: u64, keys: Vec<String>) -> Self {
        let mut producer = producer(stage);
        let mut input = producer.stdin.take().expect("it is piped");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let writer = std::thread::spawn(move || {
            let (begun, mut written, mut sent) = (Instant::now(), 0, BTreeMap::new());
            while !stopped.load(Ordering::Relaxed) {
                let due = begun.elapsed().as_secs() * per_second
                    + u64::from(begun.elapsed().subsec_millis()) * per_second / 1_000;
                let mut lines = String::new();
                for place in written..due {
                    let key = &keys[usize::try_from(place).expect("64-bit machine") % keys.len()];
                    let number = sent.entry(key.clone()).or_insert(0);
                    *number += 1;
                    lines.push_str(&line(key, *number));
                }
                written = due;
                input.write_all(lines.as_bytes()).expect("the producer reads");
                std::thread::sleep(EVERY);
            }
            sent
        });
        Self { producer, stop, writer }
    }

    /// Stops writing, and waits until all is acknowledged. Answers how many records of each key there are.
    pub(super) fn finish(mut self) -> BTreeMap<String, u64> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.writer.join().expect("the writer does not panic");
        let status = self.producer.wait().expect("the child is ours");
        assert!(status.success(), "the producer ended with {status}");
        sent
    }
}

/// Writes these records, and waits until all are acknowledged.
pub(super) fn feed_once(stage: &Stage, records: &[(&str, u64)]) {
    let mut producer = producer(stage);
    let lines: String = records.iter().map(|(key, number)| line(key, *number)).collect();
    let mut input = producer.stdin.take().expect("it is piped");
    input.write_all(lines.as_bytes()).expect("the producer reads");
    drop(input);
    assert!(producer.wait().expect("the child is ours").success());
}

fn line(key: &str, number: u64) -> String {
    format!("{key}|{{\"key\":\"{key}\",\"number\":{number}}}\n")
}

fn producer(stage: &Stage) -> Child {
    let mut command = devkit::kafka::tool_command("console-producer").expect("the jars are there");
    command.args(["--bootstrap-server", &stage.kafka.admin_address(), "--topic", TOPIC]);
    command.args(["--message-send-max-retries", "2147483647", "--max-block-ms", "120000"]);
    command.args(["--reader-property", "parse.key=true", "--reader-property", "key.separator=|"]);
    for property in PROPERTIES {
        command.args(["--command-property", property]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("java can be started")
}
