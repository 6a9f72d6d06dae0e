//! The commits of one life: slow, refused, or answered in a way that tells nothing.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tidemill_core::code::Coded;
use tidemill_core::ports::{Answer, BatchCommit, Clock, CommitBatch, Entry as StateEntry, Generation, KeyRange};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use super::{Life, failure};
use crate::reading::at_once;
use crate::simulation::fault::Ruling;
use crate::simulation::ledger::{Entry, described};

pub(super) struct Troubled {
    pub(super) commits: Rc<dyn BatchCommit>,
    pub(super) life: Arc<Life>,
}

/// Lets a commit take effect.
fn take_effect(commits: &dyn BatchCommit, life: &Life, number: u64, batch: &Arc<CommitBatch>) -> Answer {
    let answer = at_once(commits.commit(Arc::clone(batch)));
    if answer == Answer::Committed {
        life.push(Entry::Took { number });
    }
    answer
}

/// What is answered to a commit that was ruled upon.
fn ruled(ruling: Ruling, answer: Answer) -> Answer {
    match (ruling, answer) {
        (Ruling::UnknownApplied, Answer::Committed) => Answer::Unknown(failure("nobody knows")),
        (_, answer) => answer,
    }
}

impl BatchCommit for Troubled {
    fn load(
        &self,
        shard: u32,
        generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> LocalBoxFuture<'static, Result<Vec<Option<Progress>>, Coded>> {
        self.life.call();
        self.commits.load(shard, generation, partitions)
    }

    fn get(&self, shard: u32, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.life.read()?;
        self.commits.get(shard, key)
    }

    fn scan(&self, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<StateEntry>, Coded> {
        self.life.read()?;
        self.commits.scan(shard, range, limit)
    }

    fn commit(&self, batch: Arc<CommitBatch>) -> LocalBoxFuture<'static, Answer> {
        self.life.call();
        let (life, commits) = (Arc::clone(&self.life), Rc::clone(&self.commits));
        let number = life.chaos.number();
        let (parts, outputs) = described(&batch);
        life.push(Entry::Commit { who: life.who.clone(), number, parts, outputs });
        let (ruling, delay, late) = life.commit_fault(number);
        let lost = match ruling {
            Ruling::Slow | Ruling::UnknownApplied => None,
            Ruling::NotCommitted => Some(Answer::NotCommitted(failure("not committed"))),
            Ruling::UnknownLost => Some(Answer::Unknown(failure("nobody knows"))),
        };
        let early = match lost {
            Some(answer) => Some(answer),
            None if late => None,
            None => Some(ruled(ruling, take_effect(&*commits, &life, number, &batch))),
        };
        Box::pin(async move {
            if delay > Duration::ZERO {
                life.chaos.clock.sleep(delay).await;
            }
            let answer = early.unwrap_or_else(|| ruled(ruling, take_effect(&*commits, &life, number, &batch)));
            // Durable now, and the process may end before it hears of it.
            life.call();
            answer
        })
    }
}
