//! `topics create` and `topics check`.

use std::sync::Arc;

use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};

use crate::command::{Output, print, print_json, table};
use crate::host::Host;

/// What stands in a line about a topic that is there.
const EXISTS: &str = "exists";

#[derive(Serialize)]
struct Line {
    topic: String,
    /// How many partitions it has or would get; `None` for one that is missing.
    partitions: Option<u32>,
    state: &'static str,
}

/// Creates the topics that are missing, or tells which would be created. Inputs that would not have as many partitions as
/// each other are refused before anything is created (TM-0402).
pub(super) async fn create(host: &Host, dry_run: bool, output: Output) -> Result<Exit, Coded> {
    let state = if dry_run { "would be created" } else { "created" };
    let mut lines = lines(host, state).await?;
    for line in &mut lines {
        if line.partitions.is_none() {
            line.partitions = Some(host.partitions_for(&line.topic).await?);
        }
    }
    check_inputs(host, &lines)?;
    if !dry_run {
        let missing = lines.iter().filter(|line| line.state != EXISTS).map(|line| Arc::from(line.topic.as_str()));
        host.create_topics(missing).await?;
    }
    show(&lines, output)?;
    Ok(Exit::Done)
}

/// Shows all topics; one that is missing or inputs with different numbers of partitions are an error.
pub(super) async fn check(host: &Host, output: Output) -> Result<Exit, Coded> {
    let ready = host.prepare().await;
    let lines = lines(host, "missing").await?;
    show(&lines, output)?;
    ready?;
    check_inputs(host, &lines)?;
    Ok(Exit::Done)
}

/// All topics of the host's services; what is said of those that do not exist is `absent`.
async fn lines(host: &Host, absent: &'static str) -> Result<Vec<Line>, Coded> {
    let topics = host.broker().topics();
    let mut lines = Vec::new();
    for topic in host.topics() {
        let info = topics.describe(&topic).await?;
        let state = if info.is_some() { EXISTS } else { absent };
        lines.push(Line { topic: topic.to_string(), partitions: info.map(|info| info.partitions), state });
    }
    Ok(lines)
}

fn check_inputs(host: &Host, lines: &[Line]) -> Result<(), Coded> {
    for service in host.services() {
        let mut inputs = lines.iter().filter(|line| service.input_topics().any(|input| **input == *line.topic));
        let Some(first) = inputs.next() else { continue };
        if let Some(other) = inputs.find(|line| line.partitions != first.partitions) {
            let number = |line: &Line| line.partitions.map_or("no".to_owned(), |number| number.to_string());
            let message = format!(
                "service {} reads {} with {} partitions and {} with {}; they must be equal",
                service.name(),
                first.topic,
                number(first),
                other.topic,
                number(other)
            );
            return Err(Coded::new(Code::NOT_CO_PARTITIONED, message));
        }
    }
    Ok(())
}

fn show(lines: &[Line], output: Output) -> Result<(), Coded> {
    match output {
        Output::Json => print_json(&lines),
        Output::Table => {
            let row = |line: &Line| {
                let partitions = line.partitions.map_or("-".to_owned(), |number| number.to_string());
                [line.topic.clone(), partitions, line.state.to_owned()]
            };
            print(table::lay_out(["topic", "partitions", "state"], &lines.iter().map(row).collect::<Vec<_>>()))
        }
    }
}
