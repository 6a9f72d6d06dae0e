//! The way in: topics are made, and the input is published.

use std::io::{Write, stderr};
use std::sync::Arc;

use ingest::{Summary, Survey};
use tidemill::code::{Code, Coded, Exit};
use tidemill::command;
use tidemill::config::Configuration;
use tidemill::host::Host;

use crate::faults;
use crate::options::{Asked, Ingest, Luck, Source};
use crate::progress::{Counts, Progress, Work};
use crate::services;

/// Publishes the input and runs nothing.
pub(crate) async fn ingest(options: Ingest, luck: Luck) -> Result<Exit, Coded> {
    let configuration = Configuration::load(&options.common)?;
    let survey = Survey::of(options.source.input())?;
    let host = open(configuration, luck)?;
    create_missing(&host).await?;
    let counts = Arc::new(Counts::default());
    let progress = Progress::show(Work { lines: survey.lines(), events: 0 }, &counts);
    let published = publish(survey, &host, &options.source, &counts).await;
    drop(progress);
    let summary = published?;
    faults::publish(&host, luck.faults, summary.invoices).await?;
    tell_rejected(&summary, &options.source);
    let Summary { lines, invoices, .. } = summary;
    say(&format!("{lines} lines of {invoices} invoices published"));
    Ok(Exit::Done)
}

/// Publishes an input that was looked through.
pub(crate) async fn publish(survey: Survey, host: &Host, source: &Source, counts: &Counts) -> Result<Summary, Coded> {
    survey.publish(host.publisher(ingest::SOURCE), source.rejects.as_deref(), |lines| counts.published(lines)).await
}

/// Tells about lines that could not be read; where there is a report, how many are in it.
pub(crate) fn tell_rejected(summary: &Summary, source: &Source) {
    if summary.rejected == 0 {
        return;
    }
    say(&format!("{} lines could not be read", summary.rejected));
    if let Some(report) = &source.rejects {
        return say(&format!("  {} has their numbers and the reasons", report.display()));
    }
    for rejected in &summary.first_rejected {
        say(&format!("  line {}: {}", rejected.line, rejected.reason));
    }
    if summary.rejected > summary.first_rejected.len() as u64 {
        say("  and more; --rejects FILE writes all of them");
    }
}

/// Creates the shop's topics.
pub(crate) async fn create_topics(options: Asked, luck: Luck) -> Result<Exit, Coded> {
    let host = open(Configuration::load(&options.common)?, luck)?;
    create_missing(&host).await?;
    check(&host).await
}

/// Says which of the shop's topics there are. TM-0401 when one is missing.
pub(crate) async fn check_topics(options: Asked, luck: Luck) -> Result<Exit, Coded> {
    check(&open(Configuration::load(&options.common)?, luck)?).await
}

/// The broker, with all services to ask about their topics; none of them runs.
pub(crate) fn open(configuration: Configuration, luck: Luck) -> Result<Host, Coded> {
    let mut host = Host::open(configuration)?;
    for service in services::all(luck) {
        host.add(service)?;
    }
    Ok(host)
}

/// Makes the topics that are missing.
pub(crate) async fn create_missing(host: &Host) -> Result<(), Coded> {
    host.create_topics(host.topics()).await.map(|_| ())
}

/// Prints each topic with its partitions.
async fn check(host: &Host) -> Result<Exit, Coded> {
    for (topic, partitions) in require_topics(host).await? {
        command::print(format!("{topic:<24} {partitions:>3} partitions"))?;
    }
    Ok(Exit::Done)
}

/// The topics of all services with their numbers of partitions. TM-0401 when one is missing.
pub(crate) async fn require_topics(host: &Host) -> Result<Vec<(Arc<str>, u32)>, Coded> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for topic in host.topics() {
        match host.broker().topics().describe(&topic).await? {
            Some(info) => found.push((topic, info.partitions)),
            None => missing.push(topic),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    let message = format!("missing: {}; create with: shop topics create --broker ADDRESS", missing.join(", "));
    Err(Coded::new(Code::TOPIC_MISSING, message))
}

fn say(text: &str) {
    // Where standard error is gone, nobody reads it.
    drop(writeln!(stderr(), "{text}"));
}
