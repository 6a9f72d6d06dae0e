//! What has to hold before a service starts.

use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::internal;

use crate::access::Access;
use crate::broker::Shared;
use crate::names;

impl Shared {
    /// Whether a service may do with its topics what it will do, and whether its changelog, where it has one, has a partition for each shard.
    /// All of them were found before.
    pub(crate) fn check(&self, group: &str, inputs: &[Arc<str>], outputs: &[Arc<str>]) -> Result<(), Coded> {
        let mut shards = 0;
        for topic in inputs {
            shards = shards.max(self.allowed(topic, true, false)?);
        }
        for topic in outputs {
            self.allowed(topic, false, true)?;
        }
        self.allowed(&internal::operations(group), true, true)?;
        if !self.clients.settings().keeps_state {
            return Ok(());
        }
        let changelog = names::changelog(group);
        let partitions = self.allowed(&changelog, true, true)?;
        if partitions < shards {
            return Err(too_few(&changelog, partitions, shards));
        }
        Ok(())
    }

    /// How many partitions a topic has that may be read, or written to.
    fn allowed(&self, topic: &str, reads: bool, writes: bool) -> Result<u32, Coded> {
        let found = self.ask_description(topic).map_err(|failure| self.no_answer(topic, &failure))?;
        let Some(found) = found else { return Ok(0) };
        let denied = |access: Access<'_>| Err(access.denied(self.clients.settings()));
        if reads && !found.may_read {
            return denied(Access::Read(topic));
        }
        if writes && !found.may_write {
            return denied(Access::Write(topic));
        }
        Ok(found.info.partitions)
    }
}

/// A changelog has fewer partitions than the service has shards.
pub(crate) fn too_few(changelog: &str, partitions: u32, shards: u32) -> Coded {
    let message = format!(
        "{changelog} has {partitions} partitions and the inputs of its service have {shards}; a changelog has one for each \
         shard, and more partitions of a topic move keys away from their state"
    );
    Coded::new(Code::NOT_CO_PARTITIONED, message)
}
