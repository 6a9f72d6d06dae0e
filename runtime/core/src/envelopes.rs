//! Events in the form of records, for programs that are not handlers: what a publisher appends to the log, and what lies in an
//! outbox before it comes there.

use std::borrow::Cow;
use std::sync::Arc;

use crate::code::{Code, Coded};
use crate::emitted::{Emitted, Stamp};
use crate::event::Event;
use crate::outputs::{Address, Outputs};
use crate::ports::Schemas;
use crate::publisher::Publication;

/// Turns events into records that are signed with one source.
pub struct Envelopes {
    schemas: Option<Arc<dyn Schemas>>,
    source: String,
    known: Vec<Emitted>,
}

impl Envelopes {
    /// Events are signed with `source`, a URI reference such as `/shop/storefront`.
    pub fn new(source: impl Into<String>) -> Self {
        Self { schemas: None, source: source.into(), known: Vec::new() }
    }

    /// The same with a registry of schemas: what is declared from now on names its schema by an id of that.
    pub fn with_schemas(self, schemas: Arc<dyn Schemas>) -> Self {
        Self { schemas: Some(schemas), ..self }
    }

    /// Prepares for events of type `E`: opens the codec and, where there is a registry, looks the schema up. Called once for each
    /// type. Tells its place among those that were declared.
    pub async fn declare<E: Event>(&mut self) -> Result<usize, Coded> {
        let emitted = Emitted::to_topic::<E>(&self.source)?;
        if let Some(schemas) = &self.schemas {
            emitted.find_id(E::TOPIC, &**schemas).await?;
        }
        self.known.push(emitted);
        Ok(self.known.len() - 1)
    }

    /// The place of an event type among those that were declared.
    pub fn place<E: Event>(&self) -> Result<usize, Coded> {
        self.known.iter().position(Emitted::is::<E>).ok_or_else(|| {
            Coded::new(Code::BAD_SERVICE, format!("event {} is published without being declared", E::NAME))
        })
    }

    /// Appends an event's record to others.
    pub(crate) fn write<E: Event>(
        &self,
        publication: &Publication<'_, E>,
        address: Address,
        into: &mut Outputs,
    ) -> Result<(), Coded> {
        let Publication { event, id, time } = publication;
        let key: Option<Cow<'_, [u8]>> = event.key();
        let stamp = Stamp { id: id.as_bytes(), time: &time.to_string(), key: key.as_deref() };
        self.known[self.place::<E>()?].write(*event, stamp, address, |_| (), into).map_err(|error| {
            Coded::new(Code::SCHEMA_MISMATCH, format!("event {} (id {id}) cannot be written: {error}", E::NAME))
        })
    }

    /// An event's record. Its partition is not chosen yet, and says 0.
    pub fn wrap<E: Event>(&self, publication: &Publication<'_, E>) -> Result<Outputs, Coded> {
        let mut record = Outputs::new([E::TOPIC.into()].as_slice().into());
        self.write(publication, Address { topic: 0, partition: 0, timestamp: publication.time }, &mut record)?;
        Ok(record)
    }
}
