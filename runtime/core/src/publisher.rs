//! Publishing from programs that are not handlers.

use std::sync::Arc;

use crate::code::{Code, Coded};
use crate::envelopes::Envelopes;
use crate::event::Event;
use crate::outputs::{Address, Outputs};
use crate::partitioner::partition_for;
use crate::ports::{Broker, Schemas};
use crate::time::Timestamp;

/// Where events of one type go.
struct Place {
    topic: u16,
    partitions: u32,
}

/// Appends events to their topics, outside any service.
///
/// Events gather in memory until [`Publisher::flush`] makes all of them durable in one atomic act. One that is dropped
/// without a flush has published nothing since the last.
pub struct Publisher {
    broker: Arc<dyn Broker>,
    envelopes: Envelopes,
    /// Of the event types that were declared, in the order of that.
    places: Vec<Place>,
    topics: Vec<Arc<str>>,
    pending: Outputs,
    /// Spreads events without a key.
    next: u32,
}

/// One event to be published.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a, E> {
    /// The event.
    pub event: &'a E,
    /// Its id, unique within the publisher's source and the same whenever this event is published again.
    pub id: &'a str,
    /// When it happened; the record's timestamp.
    pub time: Timestamp,
}

impl Publisher {
    /// A publisher that signs its events with `source`, a URI reference such as `/shop/ingest`.
    pub fn new(broker: Arc<dyn Broker>, source: impl Into<String>) -> Self {
        let pending = Outputs::new(Arc::default());
        let envelopes = Envelopes::new(source);
        Self { broker, envelopes, places: Vec::new(), topics: Vec::new(), pending, next: 0 }
    }

    /// The same publisher with a registry of schemas: what is declared from now on names its schema by an id of that.
    pub fn with_schemas(self, schemas: Arc<dyn Schemas>) -> Self {
        Self { envelopes: self.envelopes.with_schemas(schemas), ..self }
    }

    /// How many events wait for a flush.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The bytes of the events that wait for a flush.
    pub fn pending_bytes(&self) -> usize {
        self.pending.bytes()
    }

    /// Prepares for events of type `E`: opens the codec, looks the topic up and, where there is a
    /// registry, the schema. Called once for each type, before the first
    /// [`Publisher::publish`] of it.
    pub async fn declare<E: Event>(&mut self) -> Result<(), Coded> {
        let info = self.broker.topics().describe(E::TOPIC).await?.ok_or_else(|| {
            let message = format!("topic {}, which {} is published to, does not exist", E::TOPIC, E::NAME);
            Coded::new(Code::TOPIC_MISSING, message)
        })?;
        self.envelopes.declare::<E>().await?;
        let place = self.topics.iter().position(|topic| **topic == *E::TOPIC).unwrap_or_else(|| {
            self.topics.push(E::TOPIC.into());
            self.topics.len() - 1
        });
        self.pending = std::mem::take(&mut self.pending).with_topics(self.topics.as_slice().into());
        self.places.push(Place {
            topic: u16::try_from(place).expect("a program publishes to fewer than 65,536 topics"),
            partitions: info.partitions,
        });
        Ok(())
    }

    /// Adds an event to those that wait for a flush.
    #[expect(clippy::needless_pass_by_value, reason = "a few references, made where they are passed")]
    pub fn publish<E: Event>(&mut self, publication: Publication<'_, E>) -> Result<(), Coded> {
        let place = &self.places[self.envelopes.place::<E>()?];
        let partition = if let Some(key) = publication.event.key() {
            partition_for(&key, place.partitions)
        } else {
            self.next = self.next.wrapping_add(1);
            self.next % place.partitions
        };
        let address = Address { topic: place.topic, partition, timestamp: publication.time };
        self.envelopes.write(&publication, address, &mut self.pending)
    }

    /// Makes everything that waits durable, in one atomic act.
    ///
    /// When it fails, nothing waits any more, and what waited may or may not have been published. The caller publishes the
    /// same events again, with the same ids: by their ids, copies can be told from new events. A future that is dropped
    /// leaves the same doubt.
    pub async fn flush(&mut self) -> Result<(), Coded> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let empty = Outputs::new(self.topics.as_slice().into());
        self.broker.publish(std::mem::replace(&mut self.pending, empty)).await
    }
}
