//! The outbox of programs that are not handlers, such as an HTTP service: an event commits together with the rows that it tells of.

use std::sync::Arc;

use tidemill_core::code::Coded;
use tidemill_core::envelopes::Envelopes;
use tidemill_core::event::Event;
use tidemill_core::ports::Schemas;
use tidemill_core::publisher::Publication;
use tokio_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};

use crate::failure::coded;
use crate::settings::Settings;
use crate::statements::add_text;

/// Puts events into the outbox. A relay sends them to the log; only what commits is sent.
pub struct Outbox {
    envelopes: Envelopes,
    add: String,
}

impl Outbox {
    /// The outbox of this database; events are signed with `source`, a URI reference such as `/shop/storefront`.
    pub fn new(settings: &Settings, source: impl Into<String>) -> Self {
        Self { envelopes: Envelopes::new(source), add: add_text(&settings.schema) }
    }

    /// The same with a registry of schemas: what is declared from now on names its schema by an id of that.
    pub fn with_schemas(self, schemas: Arc<dyn Schemas>) -> Self {
        Self { envelopes: self.envelopes.with_schemas(schemas), ..self }
    }

    /// Prepares for events of type `E`. Called once for each type, before the first [`add`](Self::add) of it.
    pub async fn declare<E: Event>(&mut self) -> Result<(), Coded> {
        self.envelopes.declare::<E>().await.map(drop)
    }

    /// Adds an event, which is sent when the transaction has committed, and never if it does not. One round trip.
    ///
    /// Events of one key are sent in the order in which their transactions commit, where each adds after it has locked what the key
    /// stands for, such as the row of an order. Across keys there is no order. Whether a topic exists and takes the event shows when it
    /// is relayed: what is not taken is parked, and events of its key wait behind it.
    pub async fn add<E: Event>(
        &self,
        transaction: &Transaction<'_>,
        publication: Publication<'_, E>,
    ) -> Result<(), Coded> {
        let record = self.envelopes.wrap(&publication)?;
        for output in record.iter() {
            let at = output.timestamp.as_millis();
            let values: [(&(dyn ToSql + Sync), Type); 5] = [
                (&&**output.topic, Type::TEXT),
                (&at, Type::INT8),
                (&output.key, Type::BYTEA),
                (&output.headers, Type::BYTEA),
                (&output.value, Type::BYTEA),
            ];
            let added = transaction.query_typed(&self.add, &values).await;
            added.map_err(|error| coded(&error, &format!("event {} cannot be put into the outbox", E::NAME)))?;
        }
        Ok(())
    }
}
