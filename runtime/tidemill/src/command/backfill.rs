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
use tidemill_core::state::ScopeKey;
use tidemill_core::{handover, letters, parking};

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
    #[arg(long, conflicts_with = "handler")]
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
    /// The end of the partition: where it goes on as ever, if the service never committed there; else that is where the service stands.
    end: u64,
}

impl Line {
    fn place(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }
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
            let to = if is_own { To::StaysOr(line.end) } else { To::NotAfter(line.from) };
            (line.place(), to)
        };
        let ends: BTreeMap<TopicPartition, u64> = plan.iter().map(|line| (line.place(), line.end)).collect();
        let changes = |before: &Before, unfinished: Option<Handover>| {
            let of = |(partition, before): (&TopicPartition, &Option<Progress>)| {
                let end = || Progress::starting_at(ends[partition]);
                let stood = before.clone().unwrap_or_else(end);
                // Where it was to go on as ever, it still is.
                let was_to = unfinished.as_ref().and_then(|unfinished| unfinished.until.get(&*partition.topic));
                let until = was_to.filter(|was_to| was_to.next() > stood.next()).cloned().unwrap_or(stood);
                (partition.topic.to_string(), until)
            };
            let until = before.iter().map(of).collect();
            vec![Handover { until, handler: wanted.handler.clone(), calls: wanted.allow_calls }.change()]
        };
        let removes = if wanted.drop_state { Removes::All } else { Removes::Nothing };
        let to = plan.iter().map(to).collect();
        move_group(host, service, Move { member: "backfill", to, removes, mends: false, changes: &changes }).await?;
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
        Some(handler) if !is_saga(handler) => {}
        None if sagas.is_empty() => {}
        _ => {
            let message = format!(
                "a saga cannot catch up without its commands, and nothing leaves meanwhile; service {name} has {}",
                sagas.join(", ")
            );
            return Err(Coded::new(Code::NOT_OFFERED, message));
        }
    }
    let catches_up = |handler: &str| wanted.handler.as_ref().is_none_or(|wanted| wanted == handler);
    if let Some(handler) = service.handler_names().find(|handler| catches_up(handler) && service.has_timers(handler)) {
        let message = format!("handler {handler} of service {name} has timers, and who has timers cannot catch up");
        return Err(Coded::new(Code::NOT_OFFERED, message));
    }
    let (mut has_state, mut is_known, mut waits, mut goes_on) = (false, false, 0, false);
    query::entries(&**host.broker(), name, &KeyRange::all(), |_, entry| {
        let of = ScopeKey::parse(&entry.0).map(|place| place.handler.to_owned());
        goes_on |= handover::is_own(&entry.0);
        has_state |= super::reset::is_kept(&entry.0);
        is_known |= of.is_some() && of == wanted.handler;
        waits += u64::from(parking::parked(&entry).is_some() || letters::is_open(&entry.0));
        Ok(())
    })
    .await?;
    let undecided = |message: String| Err(Coded::new(Code::STATE_UNDECIDED, message));
    match &wanted.handler {
        // What it keeps is of the part that it caught up with.
        Some(handler) if is_known && !goes_on => undecided(format!(
            "handler {handler} of service {name} keeps state, so it is not new: it had records before"
        )),
        None if has_state && !wanted.drop_state => undecided(format!(
            "service {name} keeps state, which belongs to the records that are done; --drop-state has it made again, \
             --handler NAME has one new handler catch up"
        )),
        None if wanted.drop_state && waits > 0 && !goes_on => undecided(format!(
            "service {name} has {waits} parked records and open dead letters, which had no effects; let them have theirs, or \
             give them up, before its state is made again"
        )),
        _ => Ok(()),
    }
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
            plan.push(Line { topic: topic.to_string(), partition: number, from, end });
        }
    }
    Ok(plan)
}

fn show(plan: &[Line], output: Output) -> Result<(), Coded> {
    match output {
        Output::Json => print_json(&plan),
        Output::Table => {
            let row = |line: &Line| {
                let Line { topic, partition, from, end } = line;
                [topic.clone(), partition.to_string(), from.to_string(), end.to_string()]
            };
            print(table::lay_out(["topic", "partition", "from", "end"], &plan.iter().map(row).collect::<Vec<_>>()))
        }
    }
}
