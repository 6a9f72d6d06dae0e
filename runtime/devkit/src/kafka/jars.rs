//! Kafka's jars.

use std::process::Command;

use crate::error::Error;
use crate::java::{self, Bundle};

const JARS: Bundle = Bundle {
    name: "Kafka",
    folder: "kafka-4.3.1",
    pom: include_str!("pom.xml"),
    goal: "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
};

/// Makes a Java that ends soon start in half the time, and keeps its log out of what it prints: tools say by themselves what went
/// wrong.
const SHORT_LIVED: &[&str] = &["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=OFF"];

/// A `java` command for a class that does its work and ends.
pub(super) fn short_lived(class: &str) -> Result<Command, Error> {
    let mut java = java()?;
    java.args(SHORT_LIVED).arg(class);
    Ok(java)
}

/// A `java` command with all jars on its class path, to which options and a class are still to be added.
pub(super) fn java() -> Result<Command, Error> {
    let mut java = java::java()?;
    java.arg("-cp").arg(JARS.fetched()?.join("*"));
    Ok(java)
}
