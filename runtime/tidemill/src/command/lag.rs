//! `lag`: how many records a service has still to do.

use std::sync::Arc;

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};

use crate::command::{Output, table};
use crate::host::Host;

#[derive(Serialize)]
struct Line {
    service: String,
    topic: String,
    partition: u32,
    records: u64,
}

pub(super) async fn show(host: &Host, output: Output) -> Result<Exit, Coded> {
    host.prepare().await?;
    let mut lines = Vec::new();
    for service in host.services() {
        if host.broker().is_paused(service.name()).await? {
            tracing::warn!(service = %service.name(), "paused by an operator");
        }
        let inputs: Vec<Arc<str>> = service.input_topics().cloned().collect();
        for lag in host.broker().lag(service.name(), &inputs).await? {
            let (topic, partition) = (lag.partition.topic.to_string(), lag.partition.partition);
            lines.push(Line { service: service.name().to_string(), topic, partition, records: lag.records });
        }
    }
    table::list(&lines, output, ["service", "topic", "partition", "records"], |line| {
        [line.service.clone(), line.topic.clone(), line.partition.to_string(), line.records.to_string()]
    })
}
