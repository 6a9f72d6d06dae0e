//! The worker: one thread's loop over the shards it owns.
//!
//! A turn takes what the log has, runs it through the shards, lets units go on, and commits what completed. Nothing here
//! blocks, spawns or reads a clock of its own: the loop is a future, and everything it waits for wakes it.

mod committer;
mod env;
mod ownership;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::code::Coded;
use crate::gathered::Gathered;
use crate::planted::{Bug, is_planted};
use crate::ports::{Broker, Log, Member};
use crate::record::RecordBatch;
use crate::service::Service;
use crate::shard::{Shard, Trouble};
use crate::time::Timestamp;
use committer::Committer;
use ownership::Ownership;

pub use env::Ports;
pub(crate) use env::{Condemned, Env};

/// Records that one shard takes before the others and the commit have their turn.
const TAKE_BUDGET: usize = 256;
/// Turns without a pause before the thread's other tasks have theirs.
const TURNS_BEFORE_YIELD: usize = 16;

/// How long a worker sleeps without looking at the clock again, which may have been set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What was left when a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// Units that were under way or queued, and will run again at the next owner's.
    pub interrupted: usize,
    /// Units that completed and could not be committed; they will run again too.
    pub uncommitted: usize,
}

/// What a turn came to.
enum Turn {
    /// Something happened; another turn may find more.
    Moved,
    /// Nothing to do until the next wake-up or alarm.
    Idle,
    /// Everything was given up, for this reason.
    Gone(Result<(), Coded>),
}

/// One worker of a service: a member of its group with the shards it owns.
pub struct Worker {
    env: Rc<Env>,
    log: Box<dyn Log>,
    committer: Committer,
    ownership: Ownership,
    shards: BTreeMap<u32, Shard>,
    gathered: Gathered,
    batches: Vec<RecordBatch>,
    /// Why the worker is on its way out; `Ok` when it was asked to stop.
    ending: Option<Result<(), Coded>>,
    /// The log had nothing more when it was last asked.
    drained: bool,
    /// An operator paused the group.
    paused: bool,
    alarm: Option<(Timestamp, BoxFuture<'static, ()>)>,
    /// When the shards were last asked what is due.
    looked: Timestamp,
    left: Left,
}

impl Worker {
    /// Makes a worker out of a membership. Looks the service's topics up; a missing one is an error.
    pub async fn open(service: Arc<Service>, member: Member, broker: &dyn Broker, ports: Ports) -> Result<Self, Coded> {
        let env = Rc::new(Env::open(service, member.commits, broker.topics(), ports).await?);
        Ok(Self {
            log: member.log,
            committer: Committer::new(Rc::clone(&env)),
            ownership: Ownership::new(&env.service),
            shards: BTreeMap::new(),
            gathered: Gathered::new(env.outputs()),
            batches: Vec::new(),
            ending: None,
            drained: false,
            paused: false,
            alarm: None,
            looked: Timestamp::default(),
            left: Left::default(),
            env,
        })
    }

    /// Runs until `stop` completes and everything is drained, committed and given up, or until the service cannot go on.
    /// Dropping the future is a crash: nothing half done stays.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<Left, Coded> {
        let mut stop = pin!(stop);
        poll_fn(|cx| {
            if self.ending.is_none() && stop.as_mut().poll(cx).is_ready() {
                self.end(Ok(()));
            }
            for _ in 0..TURNS_BEFORE_YIELD {
                match self.turn(cx) {
                    Ok(Turn::Moved) => {}
                    Ok(Turn::Idle) if self.alarm_rang(cx) => {}
                    Ok(Turn::Idle) => return Poll::Pending,
                    Ok(Turn::Gone(reason)) => return Poll::Ready(reason.map(|()| self.left)),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// Begins to leave; the first reason counts.
    fn end(&mut self, reason: Result<(), Coded>) {
        if self.ending.is_none() {
            self.ending = Some(reason);
            self.log.leave();
        }
    }

    /// One round: in at the log, through the shards, out at the commit.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Turn, Coded> {
        if self.gathered.units == 0 {
            self.env.renew_time();
        }
        let mut moved = self.poll_log(cx)?;
        self.looked = self.env.clock.now();
        moved |= self.poll_shards(cx);
        moved |= self.poll_commit(cx)?;
        moved |= self.poll_ownership(cx)?;
        let waiting = self.shards.values().map(|shard| shard.waiting(self.looked)).sum::<usize>();
        // What was parked and is handled is not done before that is durable.
        let is_open = !self.committer.is_idle() || self.shards.values().any(Shard::is_dirty);
        self.env.heartbeat.set_waiting(self.shards.len() as u64, waiting as u64 + u64::from(is_open));
        let gone = self.ownership.is_empty() && self.committer.is_idle();
        Ok(match self.ending.clone().filter(|_| gone) {
            Some(reason) => Turn::Gone(reason),
            None if moved => Turn::Moved,
            None => Turn::Idle,
        })
    }

    /// Takes ownership events and records from the log.
    fn poll_log(&mut self, cx: &mut Context<'_>) -> Result<bool, Coded> {
        let unread: usize = self.shards.values().map(Shard::unread_bytes).sum();
        let read_ahead = self.env.service.limits.read_ahead.max(1);
        // A partition holds at most its share and what one poll brings, so that none fills the room of the others.
        let share = (read_ahead / self.ownership.partitions().max(1) / 2).max(1);
        for shard in self.shards.values_mut() {
            shard.balance(share, &mut *self.log);
        }
        let reads = self.ending.is_none() && !self.paused;
        let room = if reads { share.min(read_ahead.saturating_sub(unread)) } else { 0 };
        match self.log.poll(cx, room, &mut self.batches) {
            Poll::Pending => {
                self.drained = room > 0 && unread == 0;
                Ok(false)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(Some(event))) => {
                self.on_event(event);
                Ok(true)
            }
            Poll::Ready(Ok(None)) => {
                self.drained = false;
                for batch in self.batches.drain(..) {
                    let number = batch.source.partition;
                    // What comes for a shard that goes, or has to be read again, is read again by its next owner.
                    if let Some(shard) = self.shards.get_mut(&number).filter(|_| !self.ownership.is_leaving(number)) {
                        shard.accept(batch);
                    }
                }
                Ok(true)
            }
        }
    }

    /// Lets every shard go on: units under way first, then new records.
    fn poll_shards(&mut self, cx: &mut Context<'_>) -> bool {
        let mut in_flight: usize = self.shards.values().map(Shard::in_flight).sum();
        let commits = !self.committer.is_idle();
        let full = commits && self.has_gathered_enough();
        let turn = self.gathered.whose_turn(|| {
            let readable = self.shards.iter().filter(|(_, shard)| shard.unread_bytes() > 0);
            readable.map(|(number, _)| *number).collect()
        });
        let mut moved = false;
        let mut trouble = None;
        for (number, shard) in &mut self.shards {
            let before = shard.in_flight();
            let may_take = self.ending.is_none()
                && !self.paused
                && !full
                && !self.ownership.is_leaving(*number)
                && turn.is_none_or(|turn| turn == *number);
            let budget = if may_take { TAKE_BUDGET.min(self.gathered.room(in_flight, commits)) } else { 0 };
            // Each shard may have one unit under way, whatever the others have, so that none starves.
            let bound = self.env.service.limits.in_flight.saturating_sub(in_flight - before).max(1);
            match shard.go_on(cx, &mut self.gathered, budget, bound) {
                Ok(went) => moved |= went,
                Err(found) => {
                    trouble = Some(found);
                    break;
                }
            }
            in_flight = in_flight + shard.in_flight() - before;
        }
        match trouble {
            None => moved,
            Some(Trouble::Stop(cause)) => {
                self.end(Err(cause));
                true
            }
            Some(Trouble::Restart(answer)) => {
                self.restart(&answer);
                true
            }
        }
    }

    /// Whether it is time for a commit, or for something that a shard waits for; arms the alarm for the next one.
    fn alarm_rang(&mut self, cx: &mut Context<'_>) -> bool {
        let commit = self.committer.due(self.drained).filter(|_| !is_planted(Bug::AlarmForgotten));
        let takes = self.ending.is_none() && !self.paused;
        // A clock that was set back since must not hide what is due again later.
        let looked = self.looked.min(self.env.clock.now());
        let shards = self.shards.values().filter(|_| takes).filter_map(|shard| shard.next_due(looked));
        let Some(due) = commit.into_iter().chain(shards).min() else {
            self.alarm = None;
            return false;
        };
        if self.alarm.as_ref().is_none_or(|(armed, _)| *armed != due) {
            let sleep = due.since(self.env.clock.now()).min(LONGEST_SLEEP);
            self.alarm = Some((due, self.env.clock.sleep(sleep)));
        }
        let (_, sleep) = self.alarm.as_mut().expect("armed above");
        let rang = sleep.as_mut().poll(cx).is_ready();
        if rang {
            self.alarm = None;
        }
        rang
    }
}
