//! Where orders are kept: one way in for whatever lies behind.

mod database;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidemill::Local;
use tidemill::code::{Code, Coded};
use tidemill::host::Host;
use tidemill::ports::{Clock, Schemas};
use tidemill::postgres::Settings;

use crate::key::Key;
use crate::order::{NewOrder, Order};
use database::Database;
use rows::Rows;

pub use database::TABLES;

/// Why an order is not placed, or not found.
#[derive(Debug)]
pub enum Error {
    /// What keeps orders does not answer, or not now. Whether an order was kept is not known; sent again with its key, it will be.
    Away(Coded),
    /// Another request with the same key is under way, and takes long.
    Busy,
    /// Another order was placed with this key.
    OtherOrder,
    /// It cannot be done, and the same will not go better.
    Failed(Coded),
}

impl From<Coded> for Error {
    fn from(cause: Coded) -> Self {
        match cause.code {
            Code::DATABASE_UNREACHABLE
            | Code::DATABASE_REFUSES
            | Code::DATABASE_OUTDATED
            | Code::DATABASE_READ_ONLY
            | Code::WRITE_FAILED => Self::Away(cause),
            _ => Self::Failed(cause),
        }
    }
}

/// Orders, each kept in one act with its event.
pub struct Store {
    place: Place,
    clock: Arc<dyn Clock>,
    /// Whether the log says that nothing answers.
    is_away: AtomicBool,
}

enum Place {
    Database(Database),
    Rows(Rows),
}

impl Store {
    /// Where the host's configuration says. An error (TM-0102) where that is with the broker, and another where the tables are not
    /// those of this program.
    pub async fn open(host: &Host) -> Result<Self, Coded> {
        let (schemas, clock) = (host.schemas().cloned(), Arc::clone(host.clock()));
        match (host.database(), host.rows()) {
            (Some(settings), _) => Self::in_database(settings, schemas, clock).await,
            (None, Some(rows)) => Self::in_rows(rows.clone(), schemas, clock).await,
            (None, None) => {
                let message = "the storefront keeps its orders in rows, and state = broker has none; say --state \
                               postgres://USER@HOST:PORT/DATABASE or --state embedded:DIR";
                Err(Coded::new(Code::BAD_VALUE, message))
            }
        }
    }

    /// In this database, whose tables are looked at. With a registry, events name their schema by an id of that.
    pub async fn in_database(
        settings: &Settings,
        schemas: Option<Arc<dyn Schemas>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Coded> {
        let database = Database::open(settings, schemas, Arc::clone(&clock)).await?;
        Ok(Self { place: Place::Database(database), clock, is_away: AtomicBool::default() })
    }

    /// In this directory of rows. With a registry, events name their schema by an id of that.
    pub async fn in_rows(rows: Local, schemas: Option<Arc<dyn Schemas>>, clock: Arc<dyn Clock>) -> Result<Self, Coded> {
        let rows = Rows::open(rows, schemas).await?;
        Ok(Self { place: Place::Rows(rows), clock, is_away: AtomicBool::default() })
    }

    /// Places an order that has no faults, and adds its event, in one act; or finds what was placed with this key before. What is
    /// answered is durable.
    pub async fn place(&self, key: &Key, asked: NewOrder) -> Result<Order, Error> {
        let order = asked.placed(key.order_id(), self.clock.now().as_millis());
        let kept = match &self.place {
            Place::Database(database) => database.place(key, &order).await,
            Place::Rows(rows) => rows.place(&order).await,
        };
        let kept = self.noted(kept)?;
        // Whoever asks again is answered as the first time, whatever became of it meanwhile.
        if kept.is_same_request(&order) { Ok(Order { status: None, ..kept }) } else { Err(Error::OtherOrder) }
    }

    /// The order of this id.
    pub async fn find(&self, id: &str) -> Result<Option<Order>, Error> {
        self.noted(match &self.place {
            Place::Database(database) => database.find(id).await,
            Place::Rows(rows) => rows.find(id).await,
        })
    }

    /// Logs once that what keeps orders is away, and once that it is back: many requests come in the meantime.
    fn noted<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        match &answer {
            Err(Error::Away(cause)) if !self.is_away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(code = %cause.code, "orders are answered with 503 until it is back: {}", cause.message);
            }
            Ok(_) if self.is_away.swap(false, Ordering::Relaxed) => tracing::info!("orders are kept again"),
            _ => {}
        }
        answer
    }
}

#[cfg(test)]
pub(crate) mod tests;
