//! `describe`: what a service is made of. It needs no broker.

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};
use tidemill_core::limits::Limits;
use tidemill_core::service::{EventInfo, Service, ServiceBuilder};

use crate::command::{Output, print, print_json, table};
use crate::config::Configuration;

#[derive(Serialize)]
struct Description<'a> {
    service: &'a str,
    workers: usize,
    handlers: Vec<Handler<'a>>,
    emits: Vec<Declared<'a>>,
    output_topics: Vec<&'a str>,
    limits: Bounds,
}

#[derive(Serialize)]
struct Handler<'a> {
    name: &'a str,
    takes: Vec<Declared<'a>>,
}

#[derive(Serialize)]
struct Declared<'a> {
    event: &'a str,
    version: u32,
    topic: &'a str,
    content_type: &'a str,
}

impl<'a> From<EventInfo<'a>> for Declared<'a> {
    fn from(info: EventInfo<'a>) -> Self {
        let EventInfo { event, version, topic, content_type } = info;
        Self { event, version, topic, content_type }
    }
}

/// The limits in plain numbers: bytes and milliseconds.
#[derive(Serialize)]
struct Bounds {
    in_flight: usize,
    lane_queue: usize,
    timers: usize,
    read_ahead_bytes: usize,
    undone: usize,
    commit_bytes: usize,
    commit_interval_ms: u128,
    commit_linger_ms: u128,
    state_cache_bytes: usize,
    handler_timeout_ms: u128,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        Self {
            in_flight: limits.in_flight,
            lane_queue: limits.lane_queue,
            timers: limits.timers,
            read_ahead_bytes: limits.read_ahead,
            undone: limits.undone,
            commit_bytes: limits.commit_bytes,
            commit_interval_ms: limits.commit_interval.as_millis(),
            commit_linger_ms: limits.commit_linger.as_millis(),
            state_cache_bytes: limits.state_cache,
            handler_timeout_ms: limits.handler_timeout.as_millis(),
        }
    }
}

impl Bounds {
    fn rows(&self) -> Vec<[String; 2]> {
        let row = |name: &str, value: String| [name.to_owned(), value];
        vec![
            row("in_flight", self.in_flight.to_string()),
            row("lane_queue", self.lane_queue.to_string()),
            row("timers", self.timers.to_string()),
            row("read_ahead", format!("{}B", self.read_ahead_bytes)),
            row("undone", self.undone.to_string()),
            row("commit_bytes", format!("{}B", self.commit_bytes)),
            row("commit_interval", format!("{}ms", self.commit_interval_ms)),
            row("commit_linger", format!("{}ms", self.commit_linger_ms)),
            row("state_cache", format!("{}B", self.state_cache_bytes)),
            row("handler_timeout", format!("{}ms", self.handler_timeout_ms)),
        ]
    }
}

pub(super) fn show(configuration: &Configuration, service: ServiceBuilder, output: Output) -> Result<Exit, Coded> {
    let limits = configuration.limits(service.name(), service.declared_limits());
    let service = service.limits(limits).build()?;
    let description = describe(&service, configuration.workers(service.name()));
    match output {
        Output::Json => print_json(&description)?,
        Output::Table => print(text(&description))?,
    }
    Ok(Exit::Done)
}

fn describe(service: &Service, workers: usize) -> Description<'_> {
    Description {
        service: service.name(),
        workers,
        handlers: service
            .handler_names()
            .map(|name| Handler { name, takes: service.taken_by(name).map(Declared::from).collect() })
            .collect(),
        emits: service.emits().map(Declared::from).collect(),
        output_topics: service.output_topics().map(|topic| &**topic).collect(),
        limits: service.limits().into(),
    }
}

fn text(description: &Description<'_>) -> String {
    let cells = |event: &Declared<'_>| {
        [event.event.to_owned(), event.version.to_string(), event.topic.to_owned(), event.content_type.to_owned()]
    };
    let takes = description.handlers.iter().flat_map(|handler| {
        handler.takes.iter().map(move |event| {
            let [event, version, topic, content_type] = cells(event);
            [handler.name.to_owned(), event, version, topic, content_type]
        })
    });
    let takes = table::lay_out(["handler", "takes", "version", "topic", "content type"], &takes.collect::<Vec<_>>());
    let emits: Vec<_> = description.emits.iter().map(cells).collect();
    let emits = if emits.is_empty() {
        "emits no events".to_owned()
    } else {
        table::lay_out(["emits", "version", "topic", "content type"], &emits)
    };
    let limits = table::lay_out(["limit", "value"], &description.limits.rows());
    let Description { service, workers, .. } = description;
    format!("service {service}, workers {workers}\n\n{takes}\n\n{emits}\n\n{limits}")
}
