//! A shard that catches up: which records it had before, and where it goes on as ever.

use bytes::Bytes;

use crate::handover::{self, Part};
use crate::record::TopicPartition;
use crate::shard::Shard;
use crate::shard::incoming::Waiting;
use crate::state::{Ordered, runtime_id};
use crate::unit::Home;

impl Waiting {
    /// Whether the shard only catches up with it.
    pub(super) fn part(&self, home: &Home, partition: &TopicPartition) -> Part {
        match &home.books.borrow().handover {
            Some(handover) if self.command.is_none() => {
                let handler = home.env.service.handler_of(self.way);
                handover.part(&partition.topic, self.offset, &home.env.service.registered(handler).name)
            }
            _ => Part::Live,
        }
    }
}

impl Shard {
    /// Goes on as ever where all is done that the shard had to catch up with.
    pub(super) fn hand_over(&mut self) {
        let mut books = self.home.books.borrow_mut();
        let progress = |topic: &str| {
            let source = self.sources.iter().find(|source| *source.partition.topic == *topic);
            source.map(|source| &source.progress)
        };
        if books.handover.take_if(|handover| handover.is_over(progress)).is_some() {
            let mut changes = Ordered::default();
            changes.insert(handover::suffix(), None);
            self.home.memory.borrow_mut().write(&runtime_id(Bytes::new()), changes);
        }
    }
}
