//! `backfill`: has a service, or one handler of it, catch up with what was, so that nothing leaves because of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::handover::Handover;
use tidemill_core::ports::{KeyRange, Start};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::service::Service;

use crate::command::moved::{Before, Move, Removes, To, move_group, refuse_active};
use crate::command::{Options, Output, print, print_json, table};
use crate::config::start;
use crate::host::Host;
use crate::query;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// Where to begin: `earliest`, or at a time such as `@2011-12-09T12:50:00Z`.
    #[arg(long, value_name = "PLACE", value_parser = place, default_value = "earliest")]
    from: Start,
    /// Only this handler, which is new: others had these records. Without it, the whole service.
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Drop the state that the service has: it is made again from its inputs.
    #[arg(long)]
    drop_state: bool,
    /// Let handlers call outside while they catch up.
    #[arg(long)]
    allow_calls: bool,
    /// Do it. Without this, what would be done is shown and nothing is changed.
    #[arg(long)]
    execute: bool,
}

fn place(text: &str) -> Result<Start, String> {
    let found = start(text).filter(|start| !matches!(start, Start::Latest));
    found.ok_or_else(|| "it has to be earliest, or a time such as @2011-12-09T12:50:00Z".to_owned())
}

impl Wanted {
    /// Takes `--state drop` for what it means here; elsewhere `--state` says where state is kept.
    pub(super) fn or_of(mut self, options: &mut Options) -> Self {
        self.drop_state |= options.state.take_if(|state| state == "drop").is_some();
        self
    }
}

#[derive(Serialize)]
struct Line {
    topic: String,
    partition: u32,
    /// Where it begins.
    from: u64,
    /// Where it goes on as ever, if the service never committed there; else where it stands.
    until: u64,
}

/// Shows what would be caught up with, and has the service do so when it runs next.
pub(super) async fn backfill(host: &Host, wanted: &Wanted, output: Output) -> Result<Exit, Coded> {
    host.prepare().await?;
    let [service] = host.services() else { unreachable!("a program of one service") };
    check(host, service, wanted).await?;
    let plan = plan(host, service, wanted.from).await?;
    if wanted.execute {
        refuse_active(host, service).await?;
        let to = |line: &Line| {
            // Operators' commands are not history.
            let is_own = service.own_topics().any(|(own, _)| **own == *line.topic);
            let to = if is_own { To::StaysOr(line.until) } else { To::At(line.from) };
            (TopicPartition::new(line.topic.as_str(), line.partition), to)
        };
        let until: BTreeMap<TopicPartition, u64> =
            plan.iter().map(|line| (TopicPartition::new(line.topic.as_str(), line.partition), line.until)).collect();
        let changes = |before: &Before| {
            let of = |(partition, before): (&TopicPartition, &Option<Progress>)| {
                let end = || Progress::starting_at(until.get(partition).copied().unwrap_or_default());
                (partition.topic.to_string(), before.clone().unwrap_or_else(end))
            };
            let until = before.iter().map(of).collect();
            vec![Handover { until, handler: wanted.handler.clone(), calls: wanted.allow_calls }.change()]
        };
        let removes = if wanted.drop_state { Removes::All } else { Removes::Nothing };
        let to = plan.iter().map(to).collect();
        move_group(host, service, Move { member: "backfill", to, removes, changes: &changes }).await?;
    }
    show(&plan, output)?;
    let done =
        if wanted.execute { "it catches up when it runs next" } else { "nothing was changed; --execute does it" };
    tracing::info!("{done}");
    Ok(Exit::Done)
}

/// What cannot be caught up with is an error: a handler that there is not (TM-0104), one of a saga (TM-0408), or a service that has state, of
/// which it is not said what becomes of it (TM-0406).
async fn check(host: &Host, service: &Service, wanted: &Wanted) -> Result<(), Coded> {
    let name = service.name();
    let sagas: Vec<&str> = service.sagas().map(|(name, _)| &**name).collect();
    let is_saga = |handler: &str| sagas.contains(&handler);
    match &wanted.handler {
        Some(handler) if !service.handler_names().any(|known| **known == **handler) => {
            let known: Vec<&str> = service.handler_names().map(|known| &**known).collect();
            let message = format!("service {name} has no handler {handler}; it has {}", known.join(", "));
            return Err(Coded::new(Code::UNKNOWN_NAME, message));
        }
        Some(handler) if !is_saga(handler) => return Ok(()),
        None if sagas.is_empty() => {}
        _ => {
            let message = format!(
                "a saga cannot catch up without its commands, and nothing leaves meanwhile; service {name} has {}",
                sagas.join(", ")
            );
            return Err(Coded::new(Code::NOT_OFFERED, message));
        }
    }
    let mut has_state = false;
    query::entries(&**host.broker(), name, &KeyRange::all(), |_, (key, _)| {
        has_state |= super::reset::is_kept(&key);
        Ok(())
    })
    .await?;
    if has_state && !wanted.drop_state {
        let message = format!(
            "service {name} keeps state, which belongs to the records that are done; --drop-state has it made again, \
             --handler NAME has one new handler catch up"
        );
        return Err(Coded::new(Code::STATE_UNDECIDED, message));
    }
    Ok(())
}

async fn plan(host: &Host, service: &Service, from: Start) -> Result<Vec<Line>, Coded> {
    let topics = host.broker().topics();
    let mut plan = Vec::new();
    for topic in service.input_topics() {
        let partitions = topics.describe(topic).await?.map_or(0, |info| info.partitions);
        for number in 0..partitions {
            let partition = TopicPartition::new(Arc::clone(topic), number);
            let (oldest, end) = topics.offsets(&partition).await?;
            let is_own = service.own_topics().any(|(own, _)| own == topic);
            let from = match from {
                _ if is_own => end,
                Start::Time(at) => topics.offset_at(&partition, at).await?.unwrap_or(end),
                _ => oldest,
            };
            plan.push(Line { topic: topic.to_string(), partition: number, from, until: end });
        }
    }
    Ok(plan)
}

fn show(plan: &[Line], output: Output) -> Result<(), Coded> {
    match output {
        Output::Json => print_json(&plan),
        Output::Table => {
            let row = |line: &Line| {
                let Line { topic, partition, from, until } = line;
                [topic.clone(), partition.to_string(), from.to_string(), until.to_string()]
            };
            print(table::lay_out(["topic", "partition", "from", "until"], &plan.iter().map(row).collect::<Vec<_>>()))
        }
    }
}
