//! One observer made of several.

use std::sync::Arc;

use tidemill_core::code::Coded;
use tidemill_core::ports::{Committed, Disposition, Observer, Retrying, UnitEnded};
use tidemill_core::record::TopicPartition;
use tidemill_core::relay::Relayed;

/// Tells all of them.
pub(super) struct Fan(pub(super) Vec<Arc<dyn Observer>>);

impl Observer for Fan {
    fn wants_units(&self) -> bool {
        self.0.iter().any(|observer| observer.wants_units())
    }

    fn shard_loading(&self, shard: u32) {
        self.0.iter().for_each(|observer| observer.shard_loading(shard));
    }

    fn shard_started(&self, shard: u32) {
        self.0.iter().for_each(|observer| observer.shard_started(shard));
    }

    fn paused(&self, is_paused: bool) {
        self.0.iter().for_each(|observer| observer.paused(is_paused));
    }

    fn shard_waits(&self, shard: u32, missing: &[TopicPartition]) {
        self.0.iter().for_each(|observer| observer.shard_waits(shard, missing));
    }

    fn shard_ended(&self, shard: u32, interrupted: usize) {
        self.0.iter().for_each(|observer| observer.shard_ended(shard, interrupted));
    }

    fn unit_ended(&self, unit: &UnitEnded<'_>) {
        let wanting = self.0.iter().filter(|observer| unit.disposition != Disposition::Done || observer.wants_units());
        wanting.for_each(|observer| observer.unit_ended(unit));
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        self.0.iter().for_each(|observer| observer.retrying(retrying));
    }

    fn breaker(&self, dependency: &str, is_open: bool, cause: &str) {
        self.0.iter().for_each(|observer| observer.breaker(dependency, is_open, cause));
    }

    fn inbox_forgot(&self, shard: u32) {
        self.0.iter().for_each(|observer| observer.inbox_forgot(shard));
    }

    fn committed(&self, commit: Committed) {
        self.0.iter().for_each(|observer| observer.committed(commit));
    }

    fn relayed(&self, relayed: Relayed) {
        self.0.iter().for_each(|observer| observer.relayed(relayed));
    }

    fn relay_waits(&self, cause: &Coded) {
        self.0.iter().for_each(|observer| observer.relay_waits(cause));
    }

    fn row_parked(&self, id: u64, why: &str) {
        self.0.iter().for_each(|observer| observer.row_parked(id, why));
    }

    fn commit_failed(&self, cause: &Coded, what_follows: &str) {
        self.0.iter().for_each(|observer| observer.commit_failed(cause, what_follows));
    }
}

#[cfg(test)]
mod tests;
