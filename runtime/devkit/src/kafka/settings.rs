//! The broker's settings: one node, small and quick, with nothing that surprises a test.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::ports::{HOST, Port};

/// What differs from Kafka's own defaults, beside addresses and folders.
const SETTINGS: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    // Clients come in at CLIENT, and how they have to show who they are is a test's choice; the broker itself and its tools
    // go through INTERNAL.
    ("listener.security.protocol.map", "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    ("inter.broker.listener.name", "INTERNAL"),
    ("controller.listener.names", "CONTROLLER"),
    // With an authorizer, the broker itself and its tools may do everything. Without one it says nothing.
    ("super.users", "User:ANONYMOUS"),
    // Copies on other nodes there are none, and few partitions are quickly loaded.
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    // A topic that is missing has to be seen.
    ("auto.create.topics.enable", "false"),
    // A group of one does not wait for others.
    ("group.initial.rebalance.delay.ms", "0"),
    // Groups of the new protocol get their times from the broker, whose own are too long for tests that kill members.
    ("group.consumer.min.session.timeout.ms", "6000"),
    ("group.consumer.session.timeout.ms", "6000"),
    ("group.consumer.min.heartbeat.interval.ms", "1000"),
    ("group.consumer.heartbeat.interval.ms", "1000"),
    // Events of the sample data are years old, and time-based retention would delete them at once.
    ("log.retention.ms", "-1"),
    // The files of a deleted topic go at once: a minute later they would go in the middle of what a benchmark measures next.
    ("log.segment.delete.delay.ms", "1000"),
    // A killed broker may register again only after its session is over.
    ("broker.heartbeat.interval.ms", "500"),
    ("broker.session.timeout.ms", "4000"),
];

/// The ports of one node.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) client: Port,
    pub(super) internal: Port,
    pub(super) controller: Port,
}

/// The text of `server.properties`; what a caller sets replaces ours.
pub(super) fn server_properties(ports: &Ports, log_dir: &Path, extra: &[(String, String)]) -> String {
    let Ports { client, internal, controller } = ports;
    let seen = format!("CLIENT://{},INTERNAL://{}", client.address(), internal.address());
    let mut all: BTreeMap<&str, String> = SETTINGS.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    all.insert("listeners", format!("{seen},CONTROLLER://{}", controller.address()));
    all.insert("advertised.listeners", seen);
    all.insert("controller.quorum.voters", format!("1@{HOST}:{}", controller.number()));
    all.insert("log.dirs", log_dir.display().to_string());
    all.extend(extra.iter().map(|(key, value)| (key.as_str(), value.clone())));
    let mut text = String::new();
    for (key, value) in all {
        writeln!(text, "{}={}", escaped(key), escaped(value.trim_start())).expect("a string takes everything");
    }
    text
}

/// Text as it stands in a file of properties.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => {}
            '\\' | ':' | '=' | '#' | '!' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("a string takes everything");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
