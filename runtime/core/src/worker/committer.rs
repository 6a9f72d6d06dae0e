//! The worker's side of commits: when one begins, and what its answer means.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::code::{Code, Coded};
use crate::gathered::Alone;
use crate::planted::{Bug, is_planted, strikes};
use crate::ports::{Answer, CommitBatch, Committed, Committing, Disposition, UnitEnded};
use crate::retry::COMMIT_RETRY;
use crate::shard::Shard;
use crate::time::Timestamp;
use crate::worker::{Condemned, Env, Worker};

/// What the one commit of a worker is doing.
enum Phase {
    Idle,
    UnderWay {
        batch: Arc<CommitBatch>,
        answer: LocalBoxFuture<'static, Answer>,
        began: Timestamp,
    },
    /// Not committed; the same batch goes out again after this pause.
    Waiting {
        batch: Arc<CommitBatch>,
        pause: BoxFuture<'static, ()>,
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
        let wait = if drained { limits.commit_linger } else { limits.commit_interval };
        self.since.filter(|_| self.is_idle()).map(|since| since + wait)
    }

    fn begin(&mut self, batch: Arc<CommitBatch>) {
        let answer: LocalBoxFuture<'static, Answer> = match &self.env.commits {
            Committing::Batch(commits) => commits.commit(Arc::clone(&batch)),
            Committing::Unit(commits) => {
                let (commits, batch) = (Rc::clone(commits), Arc::clone(&batch));
                Box::pin(async move { commits.fold(batch).await })
            }
        };
        self.phase = Phase::UnderWay { batch, answer, began: self.env.clock.now() };
    }

    /// Gives up a batch that waits to be tried again, and tells how many units it held. One that is under way cannot be
    /// called back.
    fn give_up_waiting(&mut self) -> usize {
        let Phase::Waiting { batch, .. } = &self.phase else { return 0 };
        let units = batch.units;
        self.phase = Phase::Idle;
        units
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
            Phase::Waiting { batch, pause } => {
                if pause.as_mut().poll(cx).is_pending() {
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
        // A clock that was set back must not make the commit wait for the time to come round again.
        self.committer.since = Some(self.committer.since.map_or(now, |since| since.min(now)));
        let due = self.committer.due(self.drained).is_some_and(|due| due <= now);
        if !due && !self.has_gathered_enough() && !self.wants_commit() {
            return false;
        }
        let fresh = self.env.outputs();
        let mut outputs = std::mem::replace(&mut self.gathered.outputs, fresh);
        if strikes(Bug::OutputsBeforeCommit) {
            self.committer.begin(Arc::new(CommitBatch { shards: Vec::new(), outputs, units: 0 }));
            return true;
        }
        let units = self.gathered.take_units();
        let dirty = self.shards.values_mut().filter(|shard| shard.is_dirty());
        let shards = dirty.map(|shard| shard.freeze(&mut outputs)).collect();
        self.committer.since = None;
        self.committer.attempt = 0;
        self.env.renew_time();
        self.committer.begin(Arc::new(CommitBatch { shards, outputs, units }));
        true
    }

    /// Whether what is gathered fills a commit. More is not taken while the commit before is under way.
    pub(super) fn has_gathered_enough(&self) -> bool {
        let changes: usize = self.shards.values().map(Shard::dirty_bytes).sum();
        self.gathered.outputs.bytes() + changes >= self.env.service.limits.commit_bytes || self.gathered.is_full()
    }

    /// What follows the answer to a commit.
    fn answered(&mut self, answer: Answer) -> Result<(), Coded> {
        let Phase::UnderWay { batch, began, .. } = std::mem::replace(&mut self.committer.phase, Phase::Idle) else {
            unreachable!("only a commit under way is answered")
        };
        let answer = match answer {
            Answer::Unknown(_) if is_planted(Bug::UnknownTakenForCommitted) => Answer::Committed,
            Answer::Unknown(cause) if is_planted(Bug::UnknownTakenForRefused) => Answer::NotCommitted(cause),
            answer => answer,
        };
        match answer {
            Answer::Committed => {
                let took = self.env.clock.now().since(began);
                let (units, outputs) = (batch.units, batch.outputs.len());
                self.env.observer.committed(Committed { units, outputs, took });
                self.gathered.went_through(units);
                let (limits, shards) = (&self.env.service.limits, self.shards.len().max(1));
                let (cache_bytes, inbox_bytes) = (limits.state_cache / shards, limits.inbox_memory / shards);
                let is_folded = matches!(self.env.commits, Committing::Unit(_));
                for part in &batch.shards {
                    if is_folded {
                        self.log.note(&part.progress);
                    }
                    if let Some(shard) = self.shards.get_mut(&part.shard) {
                        shard.committed(cache_bytes, inbox_bytes);
                    }
                }
                if let Some(mut batch) = Arc::into_inner(batch) {
                    batch.outputs.clear();
                    self.env.recycle(batch.outputs);
                }
                Ok(())
            }
            // The shards were given up meanwhile: the batch is nobody's any more.
            Answer::NotCommitted(_) | Answer::Refused(_) if self.ownership.reads_again() => {
                self.left_uncommitted(batch.units);
                Ok(())
            }
            Answer::Refused(cause) if batch.units > 0 => {
                self.left_uncommitted(batch.units);
                self.refused(batch.units, cause);
                Ok(())
            }
            Answer::NotCommitted(cause) | Answer::Refused(cause) => {
                self.committer.attempt += 1;
                if self.committer.attempt >= COMMIT_RETRY.attempts {
                    self.env.observer.commit_failed(&cause, "the service stops");
                    return Err(cause);
                }
                self.env.observer.commit_failed(&cause, "the same batch is tried again");
                let delay = COMMIT_RETRY.delay(self.committer.attempt, &*self.env.random);
                self.committer.phase = Phase::Waiting { batch, pause: self.env.clock.sleep(delay) };
                Ok(())
            }
            answer @ (Answer::Fenced(_) | Answer::Unknown(_)) => {
                self.left_uncommitted(batch.units);
                self.restart(&answer);
                Ok(())
            }
        }
    }

    /// One of these units did what is not taken. Their shards are read again, and fewer of them are committed at a time, until
    /// it stands alone: then it has failed for good. Where its dead letter is not taken either, its key is held; where that is not
    /// taken, the service stops.
    fn refused(&mut self, units: usize, cause: Coded) {
        if let Some(Alone { handler, shard, position }) = self.gathered.refused(units) {
            let mut condemned = self.env.condemned.borrow_mut();
            let next = match condemned.get(&position) {
                None | Some(Condemned::Crashed) => Some(Condemned::Refused(cause.clone())),
                Some(Condemned::Refused(_)) => Some(Condemned::Letter(cause.clone())),
                Some(Condemned::Letter(_)) => None,
            };
            if let Some(next) = next {
                condemned.insert(position, next);
            } else {
                drop(condemned);
                let handler = &self.env.service.registered(handler).name;
                let message = format!("the record at {position} cannot be held for an operator: {}", cause.message);
                let failure = Coded::new(Code::EFFECTS_REFUSED, message);
                let disposition = Disposition::Stops;
                let ended = UnitEnded { handler, shard, position: &position, failure: Some(&failure), disposition };
                self.env.observer.unit_ended(&ended);
                self.end(Err(failure));
            }
        }
        self.restart(&Answer::Refused(cause));
    }

    /// Forgets everything that is not durable, and reads again what is.
    pub(super) fn restart(&mut self, answer: &Answer) {
        let observer = &self.env.observer;
        match answer {
            Answer::Fenced(cause) | Answer::Unknown(cause) | Answer::NotCommitted(cause) => {
                observer.commit_failed(cause, "the shards are read again");
            }
            Answer::Refused(cause) => observer.commit_failed(cause, "it is tried again with fewer units"),
            Answer::Committed => {}
        }
        for (_, mut shard) in std::mem::take(&mut self.shards) {
            let interrupted = shard.interrupt() + shard.forget_unstarted();
            self.left_interrupted(interrupted);
            self.env.observer.shard_ended(shard.home.shard, interrupted);
        }
        let units = self.gathered.forget() + self.committer.give_up_waiting();
        self.left_uncommitted(units);
        if !is_planted(Bug::OutputsSurviveRestart) {
            self.gathered.outputs.clear();
        }
        self.committer.since = None;
        self.ownership.read_again();
    }

    /// Units were interrupted. Before the worker's end they are this worker's or another's to do, and not left.
    pub(super) fn left_interrupted(&mut self, units: usize) {
        if self.ending.is_some() {
            self.left.interrupted += units;
        }
    }

    /// As [`Worker::left_interrupted`], for units that completed. Where units commit by themselves they are committed.
    fn left_uncommitted(&mut self, units: usize) {
        if self.ending.is_some() && matches!(self.env.commits, Committing::Batch(_)) {
            self.left.uncommitted += units;
        }
    }
}
