//! What one member owns, shared by its log and its commits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::consumer::ConsumerGroupMetadata;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Generation;
use tidemill_core::record::TopicPartition;

/// The partitions of one member, and by what the broker knows its membership.
#[derive(Default)]
pub(crate) struct Ownership(Mutex<Held>);

#[derive(Default)]
struct Held {
    partitions: BTreeMap<TopicPartition, Generation>,
    fence: Option<Arc<ConsumerGroupMetadata>>,
}

impl Ownership {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These partitions are the member's under this number; the broker checks commits by `fence`.
    pub(crate) fn give(&self, partitions: &[TopicPartition], generation: Generation, fence: ConsumerGroupMetadata) {
        let mut held = self.lock();
        held.fence = Some(Arc::new(fence));
        held.partitions.extend(partitions.iter().map(|partition| (partition.clone(), generation)));
    }

    /// The membership goes on under another epoch.
    pub(crate) fn renew(&self, fence: ConsumerGroupMetadata) {
        let mut held = self.lock();
        if held.fence.is_some() {
            held.fence = Some(Arc::new(fence));
        }
    }

    /// These partitions are not the member's any more.
    pub(crate) fn take(&self, partitions: &[TopicPartition]) {
        let mut held = self.lock();
        held.partitions.retain(|partition, _| !partitions.contains(partition));
    }

    /// Nothing is the member's any more.
    pub(crate) fn clear(&self) {
        *self.lock() = Held::default();
    }

    /// Whether all of these partitions are the member's, under this number or an earlier one that goes on; and by what the
    /// broker checks it.
    pub(crate) fn check<'p>(
        &self,
        generation: Generation,
        partitions: impl IntoIterator<Item = &'p TopicPartition>,
    ) -> Result<Arc<ConsumerGroupMetadata>, Coded> {
        let held = self.lock();
        for partition in partitions {
            if held.partitions.get(partition).is_none_or(|owned| *owned > generation) {
                return Err(fenced(format!("{partition} is not this member's any more")));
            }
        }
        let fence = held.fence.clone();
        fence.ok_or_else(|| fenced("the member is not in its group any more".to_owned()))
    }
}

/// The answer to who does not own what it wants to write.
pub(crate) fn fenced(message: String) -> Coded {
    Coded::new(Code::FENCED, message)
}
