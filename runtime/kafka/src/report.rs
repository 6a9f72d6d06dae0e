//! A shard's committed state, read from its changelog by somebody who is no member of the group.

use std::sync::Arc;

use tidemill_core::code::Coded;
use tidemill_core::record::TopicPartition;

use crate::changelog;
use crate::client::Plain;
use crate::states::States;

/// What was read of one shard. It is kept, so that the next question reads only what came since.
pub(crate) struct Report {
    changelog: TopicPartition,
    states: States,
    client: Arc<Plain>,
    topic_id: String,
    position: u64,
}

impl Report {
    pub(crate) fn new(changelog: TopicPartition, states: States, client: Arc<Plain>) -> Self {
        Self { changelog, states, client, topic_id: String::new(), position: 0 }
    }

    /// Reads on to the changelog's end, for as long as `goes_on` says. A changelog that was made again is read anew.
    pub(crate) fn read(&mut self, topic_id: &str, end: u64, goes_on: &dyn Fn() -> bool) -> Result<(), Coded> {
        let Self { changelog, states, client, position, .. } = self;
        let shard = changelog.partition;
        if self.topic_id != topic_id || *position > end {
            states.clear(shard)?;
            topic_id.clone_into(&mut self.topic_id);
            *position = 0;
        }
        if *position >= end {
            return Ok(());
        }
        let apply = |changes| states.apply(shard, changes);
        changelog::read_whole(client, changelog, (*position, end), goes_on, apply)?;
        *position = end;
        Ok(())
    }

    /// What was read.
    pub(crate) fn states(&self) -> &States {
        &self.states
    }
}
