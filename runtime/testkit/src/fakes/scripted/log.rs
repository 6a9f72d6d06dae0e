//! A member's view of the scripted log.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Clock, Log, LogEvent, Start, Subscription, records_lost};
use tidemill_core::record::{RecordBatch, TopicPartition};

use super::Scripted;
use super::world::{Seat, Who};

/// The most records in one batch: few, so that a small workload has many of them.
const BATCH_RECORDS: usize = 3;

struct Reader {
    partition: TopicPartition,
    position: u64,
    paused: bool,
}

pub(super) struct Reading {
    broker: Scripted,
    who: Who,
    readers: Vec<Reader>,
    /// Rings when the first drain of the group is over.
    alarm: Option<BoxFuture<'static, ()>>,
}

impl Reading {
    pub(super) fn join(broker: Scripted, subscription: Subscription) -> Result<Self, Coded> {
        let who = Who { group: subscription.group, member: subscription.member };
        let now = broker.clock.passed();
        let mut world = broker.lock();
        world.spend();
        let group = world.groups.entry(Arc::clone(&who.group)).or_default();
        if group.members.contains_key(&who.member) {
            let message = format!("group {} has a member called {} already", who.group, who.member);
            return Err(Coded::new(Code::BAD_SERVICE, message));
        }
        let events = group.is_paused.then_some(LogEvent::Paused).into_iter().collect();
        let seat = Seat { topics: subscription.topics, events, waker: None, leaves: false };
        group.members.insert(Arc::clone(&who.member), seat);
        world.coordinate(&who.group, now);
        drop(world);
        Ok(Self { broker, who, readers: Vec::new(), alarm: None })
    }

    fn event(&mut self, cx: &mut Context<'_>) -> Option<LogEvent> {
        let now = self.broker.clock.passed();
        let mut world = self.broker.lock();
        world.spend();
        world.enforce(&self.who.group, now);
        let group = world.groups.get_mut(&self.who.group)?;
        let deadline = group.owners.values().filter_map(|owner| owner.deadline).min();
        let seat = group.members.get_mut(&self.who.member)?;
        seat.waker = Some(cx.waker().clone());
        let event = seat.events.pop_front();
        drop(world);
        self.alarm = deadline.map(|deadline| self.broker.clock.sleep(deadline.saturating_sub(now)));
        if let Some(alarm) = &mut self.alarm {
            // Asked once, so that it wakes this task.
            let _ = alarm.as_mut().poll(cx);
        }
        if let Some(LogEvent::Lost { partitions }) = &event {
            self.readers.retain(|reader| !partitions.contains(&reader.partition));
        }
        event
    }
}

impl Log for Reading {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        into: &mut Vec<RecordBatch>,
    ) -> Poll<Result<Option<LogEvent>, Coded>> {
        if let Some(event) = self.event(cx) {
            return Poll::Ready(Ok(Some(event)));
        }
        let (world, mut left, before) = (self.broker.lock(), room, into.len());
        for reader in self.readers.iter_mut().filter(|reader| !reader.paused) {
            let Ok(partition) = world.partition(&reader.partition) else { continue };
            let (mut records, began) = (Vec::new(), reader.position);
            for record in partition.records.range(reader.position..).map(|(_, record)| record) {
                if left == 0 || records.len() == BATCH_RECORDS {
                    break;
                }
                left = left.saturating_sub(record.size().max(1));
                reader.position = record.offset + 1;
                records.push(record.clone());
            }
            // Behind the last record, offsets that hold none are passed too.
            if left > 0 && partition.records.range(reader.position..).next().is_none() {
                reader.position = reader.position.max(partition.end);
            }
            if reader.position > began {
                into.push(RecordBatch { source: reader.partition.clone(), records, next: reader.position });
            }
        }
        // Another reader comes first the next time.
        if !self.readers.is_empty() {
            self.readers.rotate_left(1);
        }
        if into.len() > before { Poll::Ready(Ok(None)) } else { Poll::Pending }
    }

    fn start(&mut self, partition: &TopicPartition, from: Start) -> Result<(), Coded> {
        let mut world = self.broker.lock();
        world.spend();
        let bounds = world.partition(partition)?;
        let position = match from {
            Start::Offset(offset) if offset < bounds.start => {
                return Err(records_lost(partition, offset, bounds.start));
            }
            Start::Offset(offset) => offset,
            Start::Earliest => bounds.start,
            Start::Latest => bounds.end,
            Start::Time(at) => world.offset_at(partition, at)?.unwrap_or(bounds.end),
        };
        world.wake_all();
        self.readers.retain(|reader| reader.partition != *partition);
        let owner = world.groups.get(&self.who.group).and_then(|group| group.owners.get(partition));
        // Lost meanwhile: the event is on its way.
        if owner.is_some_and(|owner| owner.member == self.who.member) {
            self.readers.push(Reader { partition: partition.clone(), position, paused: false });
        }
        Ok(())
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.readers.iter_mut().filter(|reader| reader.partition == *partition).for_each(|reader| reader.paused = true);
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.readers
            .iter_mut()
            .filter(|reader| reader.partition == *partition)
            .for_each(|reader| reader.paused = false);
        self.broker.lock().wake_all();
    }

    fn release(&mut self, partitions: &[TopicPartition]) {
        self.readers.retain(|reader| !partitions.contains(&reader.partition));
        let now = self.broker.clock.passed();
        let mut world = self.broker.lock();
        world.spend();
        let Some(group) = world.groups.get_mut(&self.who.group) else { return };
        for partition in partitions {
            // One that is released too late is somebody else's by now.
            let owner = group.owners.get(partition);
            if owner.is_some_and(|owner| owner.member == self.who.member && owner.deadline.is_some()) {
                group.owners.remove(partition);
            }
        }
        world.coordinate(&self.who.group, now);
    }

    fn leave(&mut self) {
        let now = self.broker.clock.passed();
        let mut world = self.broker.lock();
        world.spend();
        let seat = world.groups.get_mut(&self.who.group).and_then(|group| group.members.get_mut(&self.who.member));
        if let Some(seat) = seat {
            seat.leaves = true;
        }
        world.coordinate(&self.who.group, now);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let now = self.broker.clock.passed();
        let mut world = self.broker.lock();
        if let Some(group) = world.groups.get_mut(&self.who.group) {
            group.members.remove(&self.who.member);
            group.owners.retain(|_, owner| owner.member != self.who.member);
        }
        world.coordinate(&self.who.group, now);
    }
}
