//! The relay sends each row once and none out of the order of its key, wherever it ends: to a log in memory, and to a real Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_kafka::GroupProtocol;
use tidemill_testkit::conformance::{Between, Effort, TOPICS, each_once, relay};

use super::rows::Rows;
use super::{event_loop, memory};
use crate::kafka::{Cluster, Wall};

#[test]
fn a_relay_that_ends_anywhere_leaves_the_rest_to_the_next() {
    let Some(url) = devkit::postgres::for_tests("the relay") else { return };
    let rows = Rows::new(url, "relay_ends".to_owned());
    let between = Between { rows: &rows, log: memory(), clock: Arc::new(Wall) };
    event_loop().block_on(relay(&between, Effort::Little));
}

/// What a program of anybody's reads that knows nothing of us but that it has to read what is committed.
fn read_by_anybody(cluster: &Cluster, count: usize) -> BTreeMap<String, Vec<usize>> {
    let (server, count) = (cluster.node.address(), count.to_string());
    let arguments = [
        ["--bootstrap-server", &server],
        ["--topic", TOPICS[0]],
        ["--isolation-level", "read_committed"],
        ["--timeout-ms", "5000"],
        // One more than there are, so that it sees what is too much.
        ["--max-messages", &count],
        ["--formatter-property", "print.key=true"],
        ["--formatter-property", "key.separator=|"],
    ];
    let arguments: Vec<&str> = std::iter::once("--from-beginning").chain(arguments.into_iter().flatten()).collect();
    let printed = cluster.node.tool("console-consumer", &arguments).unwrap();
    let mut read = BTreeMap::<String, Vec<usize>>::new();
    for line in String::from_utf8(printed.stdout).unwrap().lines() {
        let (key, number) = line.split_once('|').unwrap();
        read.entry(key.to_owned()).or_default().push(number.parse().unwrap());
    }
    read
}

#[test]
fn kafka_gets_each_row_once_wherever_a_relay_ends() {
    let Some(url) = devkit::postgres::for_tests("the relay to Kafka") else { return };
    // One of its own, where nobody else has topics of these names.
    let Some(cluster) = Cluster::start("the relay to Kafka", GroupProtocol::Classic) else { return };
    let rows = Rows::new(url, "relay_to_kafka".to_owned());
    let log = Arc::<tidemill_kafka::Kafka>::clone(&cluster.broker);
    let between = Between { rows: &rows, log, clock: Arc::new(Wall) };
    let added = event_loop().block_on(relay(&between, Effort::Little));
    assert_eq!(read_by_anybody(&cluster, added + 1), each_once(added));
}
