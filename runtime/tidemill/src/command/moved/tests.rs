use std::cell::Cell;
use std::future::pending;
use std::task::Context;

use tidemill_core::ports::Start;
use tidemill_core::record::RecordBatch;
use tidemill_testkit::fakes::{VirtualClock, block_on};

use super::*;

/// A membership that counts how often it is looked after, and tells one thing, if anything.
struct Watched<'w> {
    looks: &'w Cell<u32>,
    tells: Option<LogEvent>,
}

impl Log for Watched<'_> {
    fn poll(
        &mut self,
        _cx: &mut Context<'_>,
        room: usize,
        _into: &mut Vec<RecordBatch>,
    ) -> Poll<Result<Option<LogEvent>, Coded>> {
        assert_eq!(room, 0, "nobody reads");
        self.looks.set(self.looks.get() + 1);
        self.tells.take().map_or(Poll::Pending, |event| Poll::Ready(Ok(Some(event))))
    }

    fn start(&mut self, _partition: &TopicPartition, _from: Start) -> Result<(), Coded> {
        unreachable!("nobody reads")
    }

    fn pause(&mut self, _partition: &TopicPartition) {}

    fn resume(&mut self, _partition: &TopicPartition) {}

    fn release(&mut self, _partitions: &[TopicPartition]) {}

    fn leave(&mut self) {}
}

/// Work that waits so many times.
async fn waits(times: u32) -> Result<&'static str, Coded> {
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(Ok("moved"));
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[test]
fn each_time_that_the_work_goes_on_the_membership_is_looked_after() {
    let looks = Cell::new(0);
    for tells in [None, Some(LogEvent::Paused)] {
        looks.set(0);
        let log = &mut Watched { looks: &looks, tells };
        assert_eq!(block_on(&VirtualClock::new(), looked_after(log, waits(5))), Ok("moved"));
        assert!(looks.get() > 5, "looked after {} times", looks.get());
    }
}

#[test]
fn who_is_put_out_of_the_group_does_not_go_on() {
    let partitions = vec![TopicPartition::new("in", 0)];
    for tells in [
        LogEvent::Lost { partitions: partitions.clone() },
        LogEvent::Revoked { partitions: partitions.clone(), drain: Duration::ZERO },
    ] {
        let (looks, clock) = (Cell::new(0), VirtualClock::new());
        let log = &mut Watched { looks: &looks, tells: Some(tells) };
        let ended = block_on(&clock, looked_after(log, pending::<Result<(), Coded>>()));
        assert_eq!(ended.map_err(|cause| cause.code), Err(Code::GROUP_ACTIVE));
    }
}
