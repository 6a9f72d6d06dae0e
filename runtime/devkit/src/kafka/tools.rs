//! Kafka's own tools, by the names of the scripts that start them elsewhere, without `kafka-` and `.sh`.

use std::process::Command;

use super::jars;
use crate::error::Error;

const TOOLS: &[(&str, &str)] = &[
    ("acls", "org.apache.kafka.tools.AclCommand"),
    ("configs", "kafka.admin.ConfigCommand"),
    ("console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
    ("console-producer", "org.apache.kafka.tools.ConsoleProducer"),
    ("consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
    ("get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("groups", "org.apache.kafka.tools.GroupsCommand"),
    ("topics", "org.apache.kafka.tools.TopicCommand"),
    ("transactions", "org.apache.kafka.tools.TransactionsCommand"),
];

/// A command that runs a tool, to which its arguments are still to be added. `tool` is a name, or a Java class.
pub(super) fn command(tool: &str) -> Result<Command, Error> {
    let class = if tool.contains('.') { tool } else { class_of(tool)? };
    jars::short_lived(class)
}

/// Whether this is one of the names here. All of their tools take `--bootstrap-server`.
pub(super) fn is_name(tool: &str) -> bool {
    class_of(tool).is_ok()
}

fn class_of(name: &str) -> Result<&'static str, Error> {
    let found = TOOLS.iter().find(|(known, _)| *known == name);
    found.map(|(_, class)| *class).ok_or_else(|| {
        let known: Vec<&str> = TOOLS.iter().map(|(known, _)| *known).collect();
        Error::UnknownTool { name: name.to_owned(), known: known.join(", ") }
    })
}
