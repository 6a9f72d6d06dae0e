//! The log of one life: what it hands out goes into the ledger, and some of it comes again.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tidemill_core::code::Coded;
use tidemill_core::ports::{Clock, Log, LogEvent, Start};
use tidemill_core::record::{RecordBatch, TopicPartition};

use super::Life;
use crate::simulation::fault::Fault;
use crate::simulation::ledger::Entry;

pub(super) struct Troubled {
    log: Box<dyn Log>,
    life: Arc<Life>,
    /// Rings when an operator lets the service go on that was told to pause.
    held: Option<BoxFuture<'static, ()>>,
}

impl Troubled {
    pub(super) fn new(log: Box<dyn Log>, life: Arc<Life>) -> Self {
        Self { log, life, held: None }
    }

    /// What an operator wants, if it is something new.
    fn operator(&mut self, cx: &mut Context<'_>) -> Option<LogEvent> {
        let clock = &self.life.chaos.clock;
        let left = self.life.held_until().saturating_sub(clock.passed());
        let Some(held) = &mut self.held else {
            self.held = (left > Duration::ZERO).then(|| clock.sleep(left));
            return self.held.is_some().then_some(LogEvent::Paused);
        };
        if held.as_mut().poll(cx).is_pending() {
            return None;
        }
        self.held = None;
        Some(LogEvent::Resumed)
    }
}

impl Log for Troubled {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        into: &mut Vec<RecordBatch>,
    ) -> Poll<Result<Option<LogEvent>, Coded>> {
        self.life.call();
        let before = into.len();
        let told = self.operator(cx);
        let polled = match told {
            Some(event) => Poll::Ready(Ok(Some(event))),
            None => self.log.poll(cx, room, into),
        };
        let who = || self.life.who.clone();
        if let Poll::Ready(Ok(Some(event))) = &polled {
            self.life.push(Entry::Told { who: who(), event: event.clone() });
        }
        for batch in &into[before..] {
            let offsets = batch.records.iter().map(|record| record.offset).collect();
            self.life.push(Entry::Delivered { who: who(), partition: batch.source.clone(), offsets });
        }
        polled
    }

    fn start(&mut self, partition: &TopicPartition, from: Start) -> Result<(), Coded> {
        self.life.call();
        let from = match from {
            Start::Offset(offset) => {
                let again = u64::from(self.life.again()).min(offset);
                if again > 0 {
                    let fault = Fault::Again(u32::try_from(again).expect("no more than was asked for"));
                    self.life.chaos.spent(fault, format!("{partition} of {}", self.life.who));
                }
                Start::Offset(offset - again)
            }
            other => other,
        };
        self.log.start(partition, from)
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.life.call();
        self.log.pause(partition);
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.life.call();
        self.log.resume(partition);
    }

    fn release(&mut self, partitions: &[TopicPartition]) {
        self.life.call();
        self.life.push(Entry::Released { who: self.life.who.clone(), partitions: partitions.to_vec() });
        self.log.release(partitions);
    }

    fn leave(&mut self) {
        self.life.call();
        self.log.leave();
    }
}
