//! What the guard of a shard lets it do.

use std::rc::Rc;
use std::task::Context;

use bytes::Bytes;

use crate::gathered::Gathered;
use crate::guard::Advice;
use crate::ports::Committing;
use crate::record::TopicPartition;
use crate::shard::{Shard, Trouble};
use crate::source::Source;
use crate::unit::{Step, Unit, run};

impl Shard {
    /// Keeps the shard's mark, and the budget to what may begin. Tells whether anything happened.
    pub(super) fn guarded(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        budget: &mut usize,
    ) -> Result<bool, Trouble> {
        let is_clean = !self.dirty && self.in_flight.is_empty();
        if self.leaves {
            *budget = 0;
            if !self.in_flight.is_empty() || !self.guard.has_to_go() {
                return Ok(false);
            }
            self.guard.removes();
            self.write_mark(cx, gathered, None)?;
            return Ok(true);
        }
        if *budget == 0 {
            return Ok(false);
        }
        let sources = &self.sources;
        let next = |partition: &TopicPartition| {
            let source = sources.iter().find(|source| source.partition == *partition);
            source.map_or(u64::MAX, |source| source.progress.next())
        };
        let mark = match self.guard.advise(is_clean, next) {
            Advice::Any => return Ok(false),
            Advice::Few(few) => {
                *budget = few.min(*budget);
                return Ok(false);
            }
            Advice::Write(mark) if self.may_commit() => mark,
            // Nothing can be committed for a shard of which no position is known, and nothing has come yet.
            Advice::Wait | Advice::Write(_) => {
                *budget = 0;
                return Ok(false);
            }
            Advice::One => {
                *budget = 1;
                return Ok(false);
            }
        };
        *budget = 0;
        self.guard.writes();
        self.write_mark(cx, gathered, Some(mark))?;
        Ok(true)
    }

    /// Whether the shard may go as far as its mark is concerned.
    pub(crate) fn is_signed_off(&self) -> bool {
        self.guard.is_gone()
    }

    /// Whether something can be committed: an adapter checks the owner by a position.
    fn may_commit(&self) -> bool {
        matches!(self.home.env.commits, Committing::Unit(_)) || self.sources.iter().any(Source::has_begun)
    }

    fn write_mark(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        mark: Option<Bytes>,
    ) -> Result<(), Trouble> {
        self.run_own(cx, gathered, Step::Mark(mark))
    }

    /// Does the next thing that the inbox needs. Tells whether there was any.
    pub(super) fn keep_inbox(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered) -> Result<bool, Trouble> {
        let (env, shard, may_commit) = (Rc::clone(&self.home.env), self.home.shard, self.may_commit());
        let chore = {
            let inbox = &mut self.home.books.borrow_mut().inbox;
            inbox.tick(env.time());
            if inbox.takes_forgot() {
                env.observer.inbox_forgot(shard);
            }
            if may_commit { inbox.chore() } else { None }
        };
        let Some(chore) = chore else { return Ok(false) };
        self.run_own(cx, gathered, Step::Chore(chore))?;
        Ok(true)
    }

    /// Runs a unit of the runtime's own.
    fn run_own(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered, step: Step) -> Result<(), Trouble> {
        let unit = Unit::of_runtime(self.home.clone(), self.sources[0].partition.clone());
        self.poll_once(cx, gathered, Box::pin(async move { Ok(run(unit, step).await) })).map(drop)
    }
}
