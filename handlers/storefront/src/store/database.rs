//! Orders in Postgres.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use futures_util::future::{Either, join, select};
use tidemill::code::{Code, Coded};
use tidemill::ports::{Clock, Schemas};
use tidemill::postgres::tokio_postgres::error::SqlState;
use tidemill::postgres::tokio_postgres::types::{ToSql, Type};
use tidemill::postgres::tokio_postgres::{Client, NoTls, Row};
use tidemill::postgres::{Outbox, Settings, Tables, check, coded, tokio_postgres, waits_for_disk};
use tidemill::publisher::Publication;
use tidemill::time::Timestamp;

use crate::key::Key;
use crate::order::{Order, Status};
use crate::store::Error;
use crate::{OrderRequested, SOURCE};

/// The program's own tables, which lie beside the runtime's.
pub const TABLES: Tables<'static> =
    Tables { schema: "storefront", steps: &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")] };

/// Nothing comes back where the key has its order already. Waits where somebody is writing it.
const INSERT: &str = "insert into storefront.orders (id, idempotency_key, at, customer, country, lines, total_milli) \
                      values ($1, $2, $3, $4, $5, $6::text::jsonb, $7) on conflict (id) do nothing returning true";
const FIND: &str =
    "select id, at, customer, country, lines::text, total_milli, status, reason from storefront.orders where id = $1";

/// How long a request may take in the database, its wait for a connection included.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a request is tried: again where a connection ended under it. That is safe, whatever became of the first.
const ATTEMPTS: usize = 2;
/// How each connection is set: whoever waits longer for another request of the same key is told so, and who stands still in the middle
/// of a transaction holds its key no longer than that.
const SET: &str = "set lock_timeout = '2s'; set idle_in_transaction_session_timeout = '10s'";

/// What is done on a connection.
#[derive(Clone, Copy)]
enum Work<'a> {
    Place(&'a Key, &'a Order),
    Find(&'a str),
}

pub(super) struct Database {
    pool: Pool,
    outbox: Outbox,
    address: String,
    clock: Arc<dyn Clock>,
}

fn failed(error: &tokio_postgres::Error) -> Error {
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return Error::Busy;
    }
    coded(error, "the database did not do what an order needs").into()
}

impl Database {
    /// Opens a database with the tables of this program and of the runtime.
    pub(super) async fn open(
        settings: &Settings,
        schemas: Option<Arc<dyn Schemas>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Coded> {
        check(settings).await?;
        TABLES.check(settings).await?;
        let mut outbox = schemas.into_iter().fold(Outbox::new(settings, SOURCE), Outbox::with_schemas);
        outbox.declare::<OrderRequested>().await?;
        let mut config = settings.config().clone();
        config.application_name("storefront");
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let prepare = Hook::async_fn(|client, _| {
            Box::pin(async move {
                client.batch_execute(SET).await.map_err(HookError::Backend)?;
                waits_for_disk(client).await.map_err(|cause| HookError::message(cause.message))
            })
        });
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager))
            .max_size(settings.connections)
            .post_create(prepare)
            .build()
            .expect("a pool without time-outs of its own needs nothing else");
        Ok(Self { pool, outbox, address: settings.address(), clock })
    }

    /// Keeps an order with its event, or finds the one that has its id.
    pub(super) async fn place(&self, key: &Key, order: &Order) -> Result<Order, Error> {
        // Nothing is found only where an order was removed by hand between two statements.
        self.in_time(Work::Place(key, order)).await?.ok_or(Error::Busy)
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Order>, Error> {
        self.in_time(Work::Find(id)).await
    }

    /// Does something on a connection. One that ended is replaced.
    async fn in_time(&self, work: Work<'_>) -> Result<Option<Order>, Error> {
        let mut lent = None;
        let attempts = async {
            let mut attempt = 1;
            loop {
                let client = lent.insert(self.pool.get().await.map_err(|error| self.unreachable(error))?);
                let done = match work {
                    Work::Place(key, order) => self.write(client, key, order).await,
                    Work::Find(id) => read(client, id).await,
                };
                match done {
                    Err(Error::Away(cause)) if attempt < ATTEMPTS => {
                        tracing::debug!(%cause, "an order is tried again");
                        lent.take().map(Object::take);
                        attempt += 1;
                    }
                    done => return done,
                }
            }
        };
        let done = match select(pin!(attempts), self.clock.sleep(ANSWER)).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(self.silent()),
        };
        if let (Err(Error::Away(_)), Some(object)) = (&done, lent) {
            // Nobody knows what stands on this connection: it is not used again.
            drop(Object::take(object));
        }
        done
    }

    /// One transaction of three round trips, in which the event goes out with the row.
    async fn write(&self, client: &mut Client, key: &Key, order: &Order) -> Result<Option<Order>, Error> {
        let event = OrderRequested::from(order);
        let publication = Publication { event: &event, id: &order.id, time: Timestamp::from_millis(order.at) };
        let lines = serde_json::to_string(&order.lines).expect("lines have text keys and no failing parts");
        let key = key.as_str();
        let values: [(&(dyn ToSql + Sync), Type); 7] = [
            (&order.id, Type::TEXT),
            (&key, Type::TEXT),
            (&order.at, Type::INT8),
            (&order.customer, Type::TEXT),
            (&order.country, Type::TEXT),
            (&lines, Type::TEXT),
            (&order.total_milli, Type::INT8),
        ];
        let transaction = client.transaction().await.map_err(|error| failed(&error))?;
        // Both are sent at once, and the server does them in this order: so the key is held when the event is added. Where the row is
        // there already, the event is undone with the transaction.
        let (row, added) =
            join(transaction.query_typed(INSERT, &values), self.outbox.add(&transaction, publication)).await;
        if row.map_err(|error| failed(&error))?.is_empty() {
            transaction.rollback().await.map_err(|error| failed(&error))?;
            return read(client, &order.id).await;
        }
        added?;
        transaction.commit().await.map_err(|error| failed(&error))?;
        Ok(Some(order.clone()))
    }

    fn unreachable(&self, error: PoolError) -> Error {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                coded(&error, &format!("the database at {} does not let us in", self.address)).into()
            }
            other => Error::Away(Coded::new(
                Code::DATABASE_UNREACHABLE,
                format!("the database at {} cannot be used: {other}", self.address),
            )),
        }
    }

    fn silent(&self) -> Error {
        let message = format!("the database at {} did not answer within {ANSWER:?}", self.address);
        Error::Away(Coded::new(Code::DATABASE_UNREACHABLE, message))
    }
}

async fn read(client: &Client, id: &str) -> Result<Option<Order>, Error> {
    let rows = client.query_typed(FIND, &[(&id, Type::TEXT)]).await.map_err(|error| failed(&error))?;
    rows.first().map(order).transpose()
}

fn order(row: &Row) -> Result<Order, Error> {
    let lines = serde_json::from_str(row.get(4)).map_err(|error| {
        Error::Failed(Coded::new(Code::BACKEND_FAILED, format!("the lines of an order cannot be read: {error}")))
    })?;
    Ok(Order {
        id: row.get(0),
        at: row.get(1),
        customer: row.get(2),
        country: row.get(3),
        lines,
        total_milli: row.get(5),
        status: Some(Status { status: row.get(6), reason: row.get(7) }),
    })
}
