//! `topics create` and `topics check`.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};

use crate::command::{Options, Output, print, print_json, table};
use crate::config::Configuration;
use crate::host::Host;

/// What stands in a line about a topic that is there.
const EXISTS: &str = "exists";

/// The body of `topics`: makes the topics that a program needs, and checks them.
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Create the topics that are needed and do not exist.
    Create(Create),
    /// Check that all topics exist and that the inputs have as many partitions as each other.
    Check(Check),
}

/// Options of `topics create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// How many partitions they get, instead of the configured number.
    #[arg(long, value_name = "N")]
    partitions: Option<u32>,
    /// Show what would be created and create nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    options: Options,
}

/// Options of `topics check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    options: Options,
}

impl Topics {
    /// Does what is asked for. `program` is what the program is called; `declare` says to a host what runs there and which topics are
    /// written to.
    pub async fn carry_out(
        self,
        program: &str,
        declare: impl FnOnce(&mut Host) -> Result<(), Coded>,
    ) -> Result<Exit, Coded> {
        match self {
            Self::Create(Create { partitions, dry_run, output, options }) => {
                let mut configuration = Configuration::load(&options)?;
                if let Some(partitions) = partitions {
                    configuration = configuration.with("topics.partitions", &partitions.to_string())?;
                }
                if dry_run && Host::is_new(&configuration) {
                    // The plan is the same as in memory, and nothing is made on the disk for it.
                    configuration = configuration.with("broker", "memory:")?;
                }
                let mut host = Host::open(configuration)?;
                declare(&mut host)?;
                create(&host, dry_run, output).await
            }
            Self::Check(Check { output, options }) => {
                let mut host = Host::open_existing(Configuration::load(&options)?, program)?;
                declare(&mut host)?;
                check(&host, output).await
            }
        }
    }
}

#[derive(Serialize)]
struct Line {
    topic: String,
    /// How many partitions it has or would get; `None` for one that is missing.
    partitions: Option<u32>,
    state: &'static str,
}

/// Creates the topics that are missing, or tells which would be created. Inputs that would not have as many partitions as
/// each other are refused before anything is created (TM-0402).
async fn create(host: &Host, dry_run: bool, output: Output) -> Result<Exit, Coded> {
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
async fn check(host: &Host, output: Output) -> Result<Exit, Coded> {
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
