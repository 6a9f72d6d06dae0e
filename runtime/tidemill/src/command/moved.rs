//! A group that goes on elsewhere in its inputs.
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

use bytes::Bytes;
use futures_util::future::{Either, select};
use tidemill_core::code::{Code, Coded};
use tidemill_core::handover::Handover;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Answer, Change, CommitBatch, Committing, Entry, Generation, KeyRange, Log, LogEvent, Member, ShardCommit,
    Subscription,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::service::Service;
use tidemill_core::{handover, inbox};

use crate::host::Host;

/// Entries of state that are read at a time.
const PAGE: usize = 10_000;
/// How long it may take until all partitions of the group are here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Behind every record that a log ever holds.
const END: u64 = i64::MAX as u64;

/// An error (TM-0407) where the service runs.
pub(super) async fn refuse_active(host: &Host, service: &Service) -> Result<(), Coded> {
    match host.broker().members(service.name()).await? {
        0 => Ok(()),
        members => {
            let name = service.name();
            let message = format!("group {name} has {members} members; stop all instances of the service first");
            Err(Coded::new(Code::GROUP_ACTIVE, message))
        }
    }
}

/// What goes of the state of a shard that is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removes {
    Nothing,
    /// What is known of events: they are to have their effects again.
    Known,
    All,
}

impl Removes {
    /// What was begun to be caught up with goes in any case.
    fn takes(self, key: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Known => inbox::is_known(key) || handover::is_own(key),
            Self::Nothing => handover::is_own(key),
        }
    }
}

/// How far a shard was, by partition; nothing where it never committed.
pub(super) type Before = BTreeMap<TopicPartition, Option<Progress>>;

/// Where a group goes on in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// There.
    At(u64),
    /// There, or before that: where the oldest record is that is not done.
    NotAfter(u64),
    /// Where it stands; there, if it never committed.
    StaysOr(u64),
}

/// A group that moves.
pub(super) struct Move<'m> {
    /// Who moves it, in its group.
    pub(super) member: &'static str,
    /// Every partition of its inputs, and where it goes on there.
    pub(super) to: BTreeMap<TopicPartition, To>,
    pub(super) removes: Removes,
    /// Whether positions that do not fit the state are mended by that, instead of being an error.
    pub(super) mends: bool,
    /// What changes in the state of a shard with that. Where it still catches up, it is handed that too.
    pub(super) changes: &'m dyn Fn(&Before, Option<Handover>) -> Vec<Change>,
}

/// Takes the whole group, and moves it shard by shard.
pub(super) async fn move_group(host: &Host, service: &Service, wanted: Move<'_>) -> Result<(), Coded> {
    let subscription = Subscription {
        group: Arc::clone(service.name()),
        member: wanted.member.into(),
        topics: service.input_topics().cloned().collect(),
    };
    let mut member = host.broker().join(subscription)?;
    let all: BTreeSet<TopicPartition> = wanted.to.keys().cloned().collect();
    let held = hold(host, &mut member, &all).await?;
    let shards: BTreeSet<u32> = all.iter().map(|partition| partition.partition).collect();
    for shard in shards {
        let partitions: Vec<TopicPartition> = all.iter().filter(|known| known.partition == shard).cloned().collect();
        let generation = partitions.iter().map(|partition| held[partition]).max().unwrap_or_default();
        let moved = move_shard(&member.commits, shard, generation, partitions, &wanted);
        looked_after(&mut *member.log, moved).await?;
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

/// Does this while the membership is looked after: the group gives up a member that says nothing for long.
async fn looked_after<T>(log: &mut dyn Log, work: impl Future<Output = Result<T, Coded>>) -> Result<T, Coded> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        loop {
            match log.poll(cx, 0, &mut Vec::new()) {
                Poll::Pending => return work.as_mut().poll(cx),
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Ready(Ok(Some(LogEvent::Revoked { .. } | LogEvent::Lost { .. }))) => {
                    let message = "somebody else came into the group before all of it was moved; do it again";
                    return Poll::Ready(Err(Coded::new(Code::GROUP_ACTIVE, message)));
                }
                Poll::Ready(Ok(Some(LogEvent::Assigned { .. } | LogEvent::Paused | LogEvent::Resumed) | None)) => {}
            }
        }
    })
    .await
}

async fn move_shard(
    commits: &Committing,
    shard: u32,
    generation: Generation,
    partitions: Vec<TopicPartition>,
    wanted: &Move<'_>,
) -> Result<(), Coded> {
    let loaded = match commits {
        Committing::Batch(commits) => commits.load(shard, generation, partitions.clone()).await,
        Committing::Unit(commits) => commits.load(shard, generation, partitions.clone()).await,
    };
    let before: Before = match loaded {
        Ok(before) => partitions.iter().cloned().zip(before).collect(),
        Err(cause) if wanted.mends && matches!(cause.code, Code::OFFSETS_LOST | Code::TOPIC_REPLACED) => Before::new(),
        Err(cause) => return Err(cause),
    };
    let known = |value: Option<Bytes>| value.and_then(|value| Handover::read(&value));
    let to = |partition: &TopicPartition| match wanted.to[partition] {
        To::At(offset) => Progress::starting_at(offset),
        To::NotAfter(offset) => {
            let known = before.get(partition).and_then(Option::as_ref).map(Progress::resume_at);
            Progress::starting_at(known.map_or(offset, |known| known.min(offset)))
        }
        To::StaysOr(offset) => {
            before.get(partition).cloned().flatten().unwrap_or_else(|| Progress::starting_at(offset))
        }
    };
    let progress = partitions.iter().map(|partition| (partition.clone(), to(partition))).collect();
    let mut commit = ShardCommit { shard, generation, changes: Vec::new(), progress };
    match commits {
        Committing::Batch(commits) => {
            let more = (wanted.changes)(&before, known(commits.get(shard, &handover::key())?));
            let gone = removals(wanted.removes, async |range| commits.scan(shard, range, PAGE)).await?;
            commit.changes = with(gone, more);
            done(commits.commit(Arc::new(batch(commit))).await)
        }
        Committing::Unit(commits) => {
            // Traces of single units tell of records that are to be done again. They go, in the same act, as those before an end that no
            // log reaches.
            let all = partitions.into_iter().map(|partition| (partition, Progress::starting_at(END))).collect();
            let traces = ShardCommit { shard, generation, changes: Vec::new(), progress: all };
            let mut transaction = commits.begin(shard, generation).await?;
            let more = (wanted.changes)(&before, known(transaction.get(&handover::key()).await?));
            let gone = removals(wanted.removes, async |range| transaction.scan(range, PAGE).await).await?;
            drop(transaction);
            commit.changes = with(gone, more);
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

/// What changes and what goes: of a key once.
fn with(mut gone: Vec<Change>, more: Vec<Change>) -> Vec<Change> {
    gone.retain(|change| more.iter().all(|other| other.key != change.key));
    gone.extend(more);
    gone
}

/// The removal of what goes; entries are read by `scan`.
async fn removals(
    removes: Removes,
    mut scan: impl AsyncFnMut(&KeyRange) -> Result<Vec<Entry>, Coded>,
) -> Result<Vec<Change>, Coded> {
    let (mut removals, mut range) = (Vec::new(), KeyRange::all());
    loop {
        let page = scan(&range).await?;
        let last = page.last().map(|(key, _)| key.clone()).filter(|_| page.len() == PAGE);
        let gone = page.into_iter().filter(|(key, _)| removes.takes(key));
        removals.extend(gone.map(|(key, _)| Change { key, value: None }));
        match last {
            Some(last) => range.start = Bound::Excluded(last),
            None => return Ok(removals),
        }
    }
}

#[cfg(test)]
mod tests;
