//! What a unit did, as the values of its last statement.

use bytes::Bytes;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Change, UnitEffects};
use tokio_postgres::types::ToSql;

use crate::commits::{Owned, partition_number, signed};

/// Values of the statement, in its order.
#[derive(Default)]
pub(crate) struct Settled<'e> {
    topic: Option<&'e str>,
    partition: Option<i32>,
    position: Option<i64>,
    since: Option<i64>,
    once: Option<&'e [u8]>,
    once_value: Option<&'e [u8]>,
    keys: Vec<&'e [u8]>,
    values: Vec<&'e [u8]>,
    removed: Vec<&'e [u8]>,
    events: Events<'e>,
}

/// What goes into the outbox, one column beside the other.
#[derive(Default)]
struct Events<'e> {
    topics: Vec<&'e str>,
    partitions: Vec<i32>,
    times: Vec<i64>,
    keys: Vec<Option<&'e [u8]>>,
    headers: Vec<&'e [u8]>,
    values: Vec<Option<&'e [u8]>>,
}

impl<'e> Settled<'e> {
    /// What a unit did.
    pub(crate) fn of(effects: &'e UnitEffects) -> Self {
        let UnitEffects { done, changes, once, outputs } = effects;
        let mut settled = Self::changed(changes, once.as_ref(), outputs);
        if let Some(done) = done {
            let source = &done.position.source;
            settled.topic = Some(&source.topic);
            settled.partition = Some(partition_number(source.partition));
            settled.position = Some(signed(done.position.offset));
            settled.since = Some(signed(done.since));
        }
        settled
    }

    /// Changes of state, and what is emitted.
    pub(crate) fn changed(changes: &'e [Change], once: Option<&Bytes>, outputs: &'e Outputs) -> Self {
        let mut settled = Self::default();
        for change in changes {
            match &change.value {
                Some(value) if once == Some(&change.key) => {
                    settled.once = Some(&change.key);
                    settled.once_value = Some(value);
                }
                Some(value) => {
                    settled.keys.push(&change.key);
                    settled.values.push(value);
                }
                None => settled.removed.push(&change.key),
            }
        }
        for output in outputs.iter() {
            let events = &mut settled.events;
            events.topics.push(output.topic);
            events.partitions.push(partition_number(output.partition));
            events.times.push(output.timestamp.as_millis());
            events.keys.push(output.key);
            events.headers.push(output.headers);
            events.values.push(output.value);
        }
        settled
    }

    pub(crate) fn values<'v>(&'v self, owned: &'v Owned) -> [&'v (dyn ToSql + Sync); 18] {
        let Events { topics, partitions, times, keys, headers, values } = &self.events;
        [
            &owned.id,
            &owned.number,
            &owned.generation,
            &self.topic,
            &self.partition,
            &self.position,
            &self.since,
            &self.once,
            &self.once_value,
            &self.keys,
            &self.values,
            &self.removed,
            topics,
            partitions,
            times,
            keys,
            headers,
            values,
        ]
    }
}
