//! `reset`: lets a service begin elsewhere.

use std::sync::Arc;

use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::ports::{KeyRange, Start};
use tidemill_core::record::TopicPartition;
use tidemill_core::service::Service;
use tidemill_core::state::ScopeKey;
use tidemill_core::{handover, inbox, journal};

use crate::command::moved::{Move, Removes, To, move_group, refuse_active};
use crate::command::{Options, Output, print, print_json, table};
use crate::config::start;
use crate::host::Host;
use crate::query;

/// What becomes of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It stays, and records are applied to it that it may have seen.
    Keep,
    /// It goes, and the service begins with none.
    Drop,
}

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// Where the service goes on: `earliest`, `latest`, or at a time such as `@2011-12-09T12:50:00Z`.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    to: Start,
    /// Keep the service's state, which belongs to the records done so far: they are applied to it again.
    #[arg(long, conflicts_with = "drop_state")]
    keep_state: bool,
    /// Drop the service's state: it begins with none.
    #[arg(long)]
    drop_state: bool,
    /// Do it. Without this, what would be done is shown and nothing is changed.
    #[arg(long)]
    execute: bool,
}

impl Wanted {
    /// Takes `--state keep` and `--state drop` for what they mean here; elsewhere `--state` says where state is kept.
    pub(super) fn or_of(mut self, options: &mut Options) -> Self {
        let words = [("keep", &mut self.keep_state), ("drop", &mut self.drop_state)];
        for (word, wanted) in words {
            *wanted |= options.state.take_if(|state| state == word).is_some();
        }
        self
    }

    fn state(&self) -> Option<State> {
        self.drop_state.then_some(State::Drop).or(self.keep_state.then_some(State::Keep))
    }
}

fn place(text: &str) -> Result<Start, String> {
    start(text).ok_or_else(|| "it has to be earliest, latest, or a time such as @2011-12-09T12:50:00Z".to_owned())
}

#[derive(Serialize)]
struct Line {
    topic: String,
    partition: u32,
    /// Where the service goes on.
    to: u64,
    /// Records that are still to be done, as it is and as it will be.
    left: u64,
    left_then: u64,
}

/// Shows where the service would go on, and lets it.
pub(super) async fn reset(host: &Host, wanted: &Wanted, output: Output) -> Result<Exit, Coded> {
    host.prepare().await?;
    let [service] = host.services() else { unreachable!("a program of one service") };
    let plan = plan(host, service, wanted.to).await?;
    let entries = entries(host, service).await?;
    if entries > 0 && wanted.state().is_none() {
        let message = format!(
            "service {} keeps {entries} entries of state, which belong to the records that are done; say what becomes of them: \
             --drop-state to begin with none, --keep-state to apply records to them that they may have seen",
            service.name()
        );
        return Err(Coded::new(Code::STATE_UNDECIDED, message));
    }
    if wanted.execute {
        refuse_active(host, service).await?;
        let to = |line: &Line| (TopicPartition::new(line.topic.as_str(), line.partition), To::At(line.to));
        let removes = if wanted.state() == Some(State::Drop) { Removes::All } else { Removes::Known };
        let to = plan.iter().map(to).collect();
        move_group(host, service, Move { member: "reset", to, removes, mends: true, changes: &|_, _| Vec::new() })
            .await?;
    }
    show(&plan, output)?;
    let kept = if wanted.state() == Some(State::Drop) { "dropped" } else { "kept" };
    let done = if wanted.execute { "done" } else { "nothing was changed; --execute does it" };
    tracing::info!(entries, state = kept, "{done}");
    Ok(Exit::Done)
}

async fn plan(host: &Host, service: &Service, to: Start) -> Result<Vec<Line>, Coded> {
    let topics = host.broker().topics();
    let inputs: Vec<Arc<str>> = service.input_topics().cloned().collect();
    let mut plan = Vec::new();
    for lag in host.broker().lag(service.name(), &inputs).await? {
        let (oldest, end) = topics.offsets(&lag.partition).await?;
        // Commands are done, or not wanted any more: they are not about the records that are done again.
        let is_own = service.own_topics().any(|(own, _)| *own == lag.partition.topic);
        let to = match to {
            _ if is_own => end,
            Start::Earliest => oldest,
            Start::Latest => end,
            Start::Offset(offset) => offset,
            Start::Time(at) => topics.offset_at(&lag.partition, at).await?.unwrap_or(end),
        };
        let TopicPartition { topic, partition } = lag.partition;
        plan.push(Line {
            topic: topic.to_string(),
            partition,
            to,
            left: lag.records,
            left_then: end.saturating_sub(to),
        });
    }
    Ok(plan)
}

/// How many entries of state the service keeps.
async fn entries(host: &Host, service: &Service) -> Result<usize, Coded> {
    let mut count = 0;
    let all = KeyRange::all();
    query::entries(&**host.broker(), service.name(), &all, |_, (key, _)| {
        count += usize::from(is_kept(&key));
        Ok(())
    })
    .await?;
    Ok(count)
}

/// Whether an entry is state that belongs to records: a handler's, or what is parked. A mark that a crash left is not, and what is known
/// of events goes in any case: they are to have their effects again.
pub(super) fn is_kept(key: &[u8]) -> bool {
    let is_handlers = |key| ScopeKey::parse(key).is_none_or(|place| !place.handler.is_empty() || place.entry.is_some());
    is_handlers(key) && !inbox::is_known(key) && !journal::is_own(key) && !handover::is_own(key)
}

fn show(plan: &[Line], output: Output) -> Result<(), Coded> {
    match output {
        Output::Json => print_json(&plan),
        Output::Table => {
            let row = |line: &Line| {
                let Line { topic, partition, to, left, left_then } = line;
                [topic.clone(), partition.to_string(), to.to_string(), left.to_string(), left_then.to_string()]
            };
            let titles = ["topic", "partition", "to", "records left", "then"];
            print(table::lay_out(titles, &plan.iter().map(row).collect::<Vec<_>>()))
        }
    }
}
