//! The worker's side of commits: when one begins, and what its answer means.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;

use crate::code::Coded;
use crate::ports::{Answer, CommitBatch, Committed, Committing};
use crate::retry::COMMIT_RETRY;
use crate::shard::Shard;
use crate::time::Timestamp;
use crate::worker::{Env, Worker};

/// What the one commit of a worker is doing.
enum Phase {
    Idle,
    UnderWay {
        batch: Arc<CommitBatch>,
        answer: LocalBoxFuture<'static, Answer>,
        began: Timestamp,
    },
    /// Not committed; the same batch goes out again at this time.
    Waiting {
        batch: Arc<CommitBatch>,
        until: Timestamp,
    },
}

/// Gathers completed units into commits, one under way at a time.
pub(super) struct Committer {
    env: Rc<Env>,
    phase: Phase,
    /// Since when something waits to be committed.
    since: Option<Timestamp>,
    attempt: u32,
}

impl Committer {
    pub(super) fn new(env: Rc<Env>) -> Self {
        Self { env, phase: Phase::Idle, since: None, attempt: 0 }
    }

    /// Whether no commit is under way or waits to be tried again.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// When the commit has to be looked after next. Once the input is drained, what is gathered goes out soon.
    pub(super) fn due(&self, drained: bool) -> Option<Timestamp> {
        let limits = &self.env.service.limits;
        match &self.phase {
            Phase::UnderWay { .. } => None,
            Phase::Waiting { until, .. } => Some(*until),
            Phase::Idle => {
                self.since.map(|since| since + if drained { limits.commit_linger } else { limits.commit_interval })
            }
        }
    }

    fn begin(&mut self, batch: Arc<CommitBatch>) {
        let Committing::Batch(commits) = &self.env.commits else { unreachable!("units commit by themselves") };
        let answer = commits.commit(Arc::clone(&batch));
        self.phase = Phase::UnderWay { batch, answer, began: self.env.clock.now() };
    }
}

impl Worker {
    /// Looks after the commit under way, and begins the next when it is time. Tells whether anything happened.
    pub(super) fn poll_commit(&mut self, cx: &mut Context<'_>) -> Result<bool, Coded> {
        match &mut self.committer.phase {
            Phase::UnderWay { answer, .. } => {
                let Poll::Ready(answer) = answer.as_mut().poll(cx) else { return Ok(false) };
                self.answered(answer)?;
                Ok(true)
            }
            Phase::Waiting { batch, until } => {
                if self.env.clock.now() < *until {
                    return Ok(false);
                }
                let batch = Arc::clone(batch);
                self.committer.begin(batch);
                Ok(true)
            }
            Phase::Idle => Ok(self.begin_commit()),
        }
    }

    /// Begins a commit when it is time for one.
    fn begin_commit(&mut self) -> bool {
        if !self.shards.values().any(Shard::is_dirty) {
            self.committer.since = None;
            return false;
        }
        let now = self.env.clock.now();
        self.committer.since.get_or_insert(now);
        let limits = &self.env.service.limits;
        let bytes = self.gathered.outputs.bytes() + self.shards.values().map(Shard::dirty_bytes).sum::<usize>();
        let due = self.committer.due(self.drained).is_some_and(|due| due <= now);
        if !due && bytes < limits.commit_bytes && !self.wants_commit(now) {
            return false;
        }
        let fresh = self.env.outputs();
        let outputs = std::mem::replace(&mut self.gathered.outputs, fresh);
        let units = std::mem::take(&mut self.gathered.units);
        let shards = self.shards.values_mut().filter(|shard| shard.is_dirty()).map(Shard::freeze).collect();
        self.committer.since = None;
        self.committer.attempt = 0;
        self.env.renew_time();
        self.committer.begin(Arc::new(CommitBatch { shards, outputs, units }));
        true
    }

    /// What follows the answer to a commit.
    fn answered(&mut self, answer: Answer) -> Result<(), Coded> {
        let Phase::UnderWay { batch, began, .. } = std::mem::replace(&mut self.committer.phase, Phase::Idle) else {
            unreachable!("only a commit under way is answered")
        };
        match answer {
            Answer::Committed => {
                let took = self.env.clock.now().since(began);
                let (units, outputs) = (batch.units, batch.outputs.len());
                self.env.observer.committed(Committed { units, outputs, took });
                let cache_bytes = self.env.service.limits.state_cache / self.shards.len().max(1);
                for part in &batch.shards {
                    if let Some(shard) = self.shards.get_mut(&part.shard) {
                        shard.committed(cache_bytes);
                    }
                }
                if let Some(mut batch) = Arc::into_inner(batch) {
                    batch.outputs.clear();
                    self.env.recycle(batch.outputs);
                }
                Ok(())
            }
            Answer::NotCommitted(cause) => {
                self.committer.attempt += 1;
                if self.committer.attempt >= COMMIT_RETRY.attempts {
                    self.env.observer.commit_failed(&cause, "the service stops");
                    return Err(cause);
                }
                self.env.observer.commit_failed(&cause, "the same batch is tried again");
                let until = self.env.clock.now() + COMMIT_RETRY.delay(self.committer.attempt, &*self.env.random);
                self.committer.phase = Phase::Waiting { batch, until };
                Ok(())
            }
            answer @ (Answer::Fenced(_) | Answer::Unknown(_)) => {
                self.left.uncommitted += batch.units;
                self.restart(&answer);
                Ok(())
            }
        }
    }

    /// Forgets everything that is not durable, and reads again what is.
    pub(super) fn restart(&mut self, answer: &Answer) {
        if let Answer::Fenced(cause) | Answer::Unknown(cause) | Answer::NotCommitted(cause) = answer {
            self.env.observer.commit_failed(cause, "the shards are read again");
        }
        for (_, mut shard) in std::mem::take(&mut self.shards) {
            let interrupted = shard.interrupt() + shard.forget_unstarted();
            self.left.interrupted += interrupted;
            self.env.observer.shard_ended(shard.home.shard, interrupted);
        }
        self.left.uncommitted += std::mem::take(&mut self.gathered.units);
        self.gathered.outputs.clear();
        self.committer.since = None;
        self.ownership.read_again();
    }
}
