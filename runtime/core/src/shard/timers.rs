//! Timers that are due: each has its turn in the lane of its key.

use std::sync::Arc;
use std::task::Context;

use crate::books::Entered;
use crate::gathered::Gathered;
use crate::guard::Attempt;
use crate::lane::LaneId;
use crate::planted::{Bug, is_planted};
use crate::ports::Disposition;
use crate::record::TopicPartition;
use crate::shard::lanes::{Back, Launched, Queued, not_read};
use crate::shard::made::timer_unit;
use crate::shard::{Shard, Trouble};
use crate::timers::When;
use crate::unit::{Finished, Home, Outcome, Step, Unit, next_timers, run};

impl Shard {
    /// A timer has its turn in its lane.
    pub(super) fn fire(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        when: When,
        lane: &LaneId,
    ) -> Result<(), Trouble> {
        if is_planted(Bug::TimerOvertakes) {
            return self.launch_timer(cx, gathered, lane, when).map(drop);
        }
        let is_free = self.lanes.queued(lane).is_none();
        if is_free {
            self.lanes.occupy(lane.clone());
        }
        self.lanes.push(lane, Queued::Timer(when));
        if is_free { self.advance(cx, gathered, lane) } else { Ok(()) }
    }

    /// Polls the unit of a timer that is due once.
    pub(super) fn launch_timer(
        &mut self,
        cx: &mut Context<'_>,
        gathered: &mut Gathered,
        lane: &LaneId,
        when: When,
    ) -> Result<Launched, Trouble> {
        let source = self.timers();
        if let Some(rest) = self.has_to_rest(lane.handler(), true, || Attempt::of(&when.position(&source))) {
            return Ok(Launched::Rests(rest, Back::Queued(Queued::Timer(when))));
        }
        let queue = self.home.books.borrow().parking.holds(lane);
        let (home, lane) = (self.home.clone(), lane.clone());
        self.poll_once(cx, gathered, Box::pin(timer(home, source, lane, when, queue)))
    }

    /// Where timers of this shard come from, as if they were records.
    fn timers(&self) -> TopicPartition {
        TopicPartition::new(Arc::clone(&self.home.env.service.timers.topic), self.home.shard)
    }

    /// Reads the next timers, if those in memory have fired. Tells whether it did.
    pub(super) fn read_timers(&mut self, cx: &mut Context<'_>, gathered: &mut Gathered) -> Result<bool, Trouble> {
        let Some(behind) = self.home.books.borrow().timers.wanted().filter(|_| !is_planted(Bug::TimersCut)) else {
            return Ok(false);
        };
        self.home.books.borrow_mut().timers.reads();
        let (home, origin) = (self.home.clone(), self.timers());
        let read = async move {
            let page = next_timers(&home, behind).await.map_err(not_read)?;
            let mut unit = Unit::of_runtime(home, origin);
            unit.entered.push(Entered::Timers(page));
            Ok(Finished { unit, outcome: Outcome::Whole(None, Disposition::Kept) })
        };
        self.poll_once(cx, gathered, Box::pin(read))?;
        Ok(true)
    }
}

/// Reads a timer that is due and handles its event; one that is not there any more was cancelled meanwhile.
async fn timer(home: Home, source: TopicPartition, lane: LaneId, when: When, queue: bool) -> Result<Finished, Trouble> {
    let Some((mut unit, step)) = timer_unit(home.clone(), when).await.map_err(not_read)? else {
        let mut unit = Unit::of_runtime(home, source);
        unit.parked_in = Some(lane);
        unit.entered.push(Entered::Fired);
        return Ok(Finished { unit, outcome: Outcome::Whole(None, Disposition::Kept) });
    };
    // It may have no handler any more: the lane is that of the one that it had.
    unit.parked_in = Some(lane);
    Ok(run(unit, if queue { Step::Queue } else { step }).await)
}
