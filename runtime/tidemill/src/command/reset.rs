//! `reset`: lets a service begin elsewhere.
//!
//! It acts as a member of the group that owns everything: so nobody else can run meanwhile, and a member that comes in the
//! middle fences it. Progress moves with the state, shard by shard, each in one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::ops::Bound;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::inbox;
use tidemill_core::journal;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Answer, Change, CommitBatch, Committing, Entry, Generation, KeyRange, LogEvent, Member, ShardCommit, Start,
    Subscription, UnitEffects,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::service::Service;
use tidemill_core::state::ScopeKey;

use crate::command::{Options, Output, print, print_json, table};
use crate::config::start;
use crate::host::Host;
use crate::query;

/// Entries of state that are read at a time.
const PAGE: usize = 10_000;
/// How long it may take until all partitions of the group are here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Behind every record that a log ever holds.
const END: u64 = i64::MAX as u64;

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
        act(host, service, &plan, wanted.state() == Some(State::Drop)).await?;
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
fn is_kept(key: &[u8]) -> bool {
    let is_handlers = |key| ScopeKey::parse(key).is_none_or(|place| !place.handler.is_empty() || place.entry.is_some());
    is_handlers(key) && !inbox::is_known(key) && !journal::is_own(key)
}

async fn refuse_active(host: &Host, service: &Service) -> Result<(), Coded> {
    match host.broker().members(service.name()).await? {
        0 => Ok(()),
        members => {
            let name = service.name();
            let message =
                format!("group {name} has {members} members; stop all instances of the service, then reset it");
            Err(Coded::new(Code::GROUP_ACTIVE, message))
        }
    }
}

/// Takes the whole group, and moves it shard by shard.
async fn act(host: &Host, service: &Service, plan: &[Line], drops: bool) -> Result<(), Coded> {
    let subscription = Subscription {
        group: Arc::clone(service.name()),
        member: "reset".into(),
        topics: service.input_topics().cloned().collect(),
    };
    let mut member = host.broker().join(subscription)?;
    let wanted: BTreeSet<TopicPartition> =
        plan.iter().map(|line| TopicPartition::new(&*line.topic, line.partition)).collect();
    let held = hold(host, &mut member, &wanted).await?;
    let shards: BTreeSet<u32> = wanted.iter().map(|partition| partition.partition).collect();
    for shard in shards {
        let of_shard = |partition: &&TopicPartition| partition.partition == shard;
        let partitions: Vec<TopicPartition> = wanted.iter().filter(of_shard).cloned().collect();
        let generation = partitions.iter().map(|partition| held[partition]).max().unwrap_or_default();
        let to = |partition: TopicPartition| {
            let line =
                plan.iter().find(|line| *line.topic == *partition.topic && line.partition == partition.partition);
            let to = line.expect("the partitions are those of the plan").to;
            (partition, Progress::starting_at(to))
        };
        let progress = partitions.iter().cloned().map(to).collect();
        let commit = ShardCommit { shard, generation, changes: Vec::new(), progress };
        move_shard(&member.commits, commit, partitions, drops).await?;
    }
    member.log.leave();
    Ok(())
}

/// Waits until all of these partitions belong to the member; answers under which numbers.
async fn hold(
    host: &Host,
    member: &mut Member,
    wanted: &BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, Generation>, Coded> {
    let mut held = BTreeMap::new();
    let all = poll_fn(|cx| {
        while !wanted.iter().all(|partition| held.contains_key(partition)) {
            match member.log.poll(cx, 0, &mut Vec::new()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Ready(Ok(Some(LogEvent::Assigned { partitions, generation }))) => {
                    held.extend(partitions.into_iter().map(|partition| (partition, generation)));
                }
                Poll::Ready(Ok(Some(LogEvent::Revoked { partitions, .. } | LogEvent::Lost { partitions }))) => {
                    held.retain(|partition, _| !partitions.contains(partition));
                    member.log.release(&partitions);
                }
                // Positions move in a paused group as in any other.
                Poll::Ready(Ok(Some(LogEvent::Paused | LogEvent::Resumed) | None)) => {}
            }
        }
        Poll::Ready(Ok(()))
    });
    match select(pin!(all), host.clock().sleep(PATIENCE)).await {
        Either::Left((all, _)) => all?,
        Either::Right(_) => {
            let message = "not all partitions of the group came here: somebody else is a member of it";
            return Err(Coded::new(Code::GROUP_ACTIVE, message));
        }
    }
    Ok(held)
}

async fn move_shard(
    commits: &Committing,
    mut commit: ShardCommit,
    partitions: Vec<TopicPartition>,
    drops: bool,
) -> Result<(), Coded> {
    let (shard, generation) = (commit.shard, commit.generation);
    let loaded = match commits {
        Committing::Batch(commits) => commits.load(shard, generation, partitions.clone()).await,
        Committing::Unit(commits) => commits.load(shard, generation, partitions.clone()).await,
    };
    match loaded {
        Ok(_) => {}
        // That positions do not fit the state is what this mends.
        Err(cause) if matches!(cause.code, Code::OFFSETS_LOST | Code::TOPIC_REPLACED) => {}
        Err(cause) => return Err(cause),
    }
    match commits {
        Committing::Batch(commits) => {
            commit.changes = removals(drops, async |range| commits.scan(shard, range, PAGE)).await?;
            done(commits.commit(Arc::new(batch(commit))).await)
        }
        Committing::Unit(commits) => {
            // Traces of single units tell of records that are to be done again. They go, in the same act, as those before an end that no
            // log reaches.
            let all = partitions.into_iter().map(|partition| (partition, Progress::starting_at(END))).collect();
            let traces = ShardCommit { shard, generation, changes: Vec::new(), progress: all };
            let mut transaction = commits.begin(shard, generation).await?;
            let changes = removals(drops, async |range| transaction.scan(range, PAGE).await).await?;
            let effects = UnitEffects { done: None, changes, once: None, outputs: Outputs::default() };
            done(transaction.commit(effects).await)?;
            let both = CommitBatch { shards: vec![traces, commit], outputs: Outputs::default(), units: 0 };
            done(commits.fold(Arc::new(both)).await)
        }
    }
}

fn done(answer: Answer) -> Result<(), Coded> {
    match answer {
        Answer::Committed => Ok(()),
        Answer::NotCommitted(cause) | Answer::Refused(cause) | Answer::Fenced(cause) | Answer::Unknown(cause) => {
            Err(cause)
        }
    }
}

fn batch(commit: ShardCommit) -> CommitBatch {
    CommitBatch { shards: vec![commit], outputs: Outputs::default(), units: 0 }
}

/// The removal of what is known of events, and, if the state goes, of everything that a shard keeps; entries are read by `scan`.
async fn removals(
    drops: bool,
    mut scan: impl AsyncFnMut(&KeyRange) -> Result<Vec<Entry>, Coded>,
) -> Result<Vec<Change>, Coded> {
    let (mut removals, mut range) = (Vec::new(), KeyRange::all());
    loop {
        let page = scan(&range).await?;
        let last = page.last().map(|(key, _)| key.clone()).filter(|_| page.len() == PAGE);
        let gone = page.into_iter().filter(|(key, _)| drops || inbox::is_known(key));
        removals.extend(gone.map(|(key, _)| Change { key, value: None }));
        match last {
            Some(last) => range.start = Bound::Excluded(last),
            None => return Ok(removals),
        }
    }
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
