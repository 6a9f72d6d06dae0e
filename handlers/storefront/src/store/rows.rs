//! Orders in a directory of rows.

use std::sync::Arc;

use tidemill::Local;
use tidemill::code::{Code, Coded};
use tidemill::envelopes::Envelopes;
use tidemill::ports::Schemas;
use tidemill::publisher::Publication;
use tidemill::time::Timestamp;

use crate::order::Order;
use crate::store::Error;
use crate::{OrderRequested, SOURCE};

/// What the key of an order's row begins with.
const ORDER: &str = "order/";

pub(super) struct Rows {
    rows: Local,
    envelopes: Envelopes,
}

fn row_key(id: &str) -> Vec<u8> {
    format!("{ORDER}{id}").into_bytes()
}

fn read(row: &[u8]) -> Result<Order, Error> {
    serde_json::from_slice(row).map_err(|error| {
        Error::Failed(Coded::new(Code::DAMAGED, format!("the row of an order cannot be read: {error}")))
    })
}

impl Rows {
    pub(super) async fn open(rows: Local, schemas: Option<Arc<dyn Schemas>>) -> Result<Self, Coded> {
        let mut envelopes = schemas.into_iter().fold(Envelopes::new(SOURCE), Envelopes::with_schemas);
        envelopes.declare::<OrderRequested>().await?;
        Ok(Self { rows, envelopes })
    }

    /// Keeps an order with its event, or finds the one that has its id.
    pub(super) async fn place(&self, order: &Order) -> Result<Order, Error> {
        let mut transaction = self.rows.begin().await;
        let key = row_key(&order.id);
        if let Some(row) = transaction.get(&key).await? {
            // Who wrote it may not have heard yet that it is on the disk, and nobody is told of it before.
            transaction.commit().await?;
            return read(&row);
        }
        transaction.put(&key, serde_json::to_vec(order).expect("an order has text keys and no failing parts"));
        let event = OrderRequested::from(order);
        let publication = Publication { event: &event, id: &order.id, time: Timestamp::from_millis(order.at) };
        transaction.add(&self.envelopes, &publication)?;
        transaction.commit().await?;
        Ok(order.clone())
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Order>, Error> {
        let row = self.rows.get(&row_key(id)).await?;
        row.map(|row| read(&row)).transpose()
    }
}
