//! The outbox of a database passes the suite of outboxes.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tidemill_core::event::Event;
use tidemill_core::ports::{Clock, Outbox};
use tidemill_core::publisher::Publication;
use tidemill_postgres::tokio_postgres::{Client, NoTls, Transaction, connect};
use tidemill_postgres::{Outbox as ProgramOutbox, OutboxTable, Settings};
use tidemill_testkit::conformance::{self, AT, Draft, Note, Outboxes, TOPICS};

use super::{database, event_loop};
use crate::kafka::Wall;

/// A client of the test's own.
pub(super) async fn client(url: &str) -> Client {
    let (client, connection) = connect(url, NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// An outbox in a schema of its own.
pub(super) struct Rows {
    url: &'static str,
    schema: String,
    database: Settings,
}

impl Rows {
    pub(super) fn new(url: &'static str, schema: String) -> Self {
        let database = database(url, &schema);
        Self { url, schema, database }
    }

    /// As a program adds them that is no service.
    async fn add(&self, transaction: &Transaction<'_>, row: &Draft) {
        async fn add<E: Event>(to: &Settings, transaction: &Transaction<'_>, event: Publication<'_, E>) {
            let mut outbox = ProgramOutbox::new(to, "/tests");
            outbox.declare::<E>().await.unwrap();
            outbox.add(transaction, event).await.unwrap();
        }
        match (row.partition, row.topic) {
            (None, 0) => add(&self.database, transaction, Note::<0>::new(row).publication()).await,
            (None, _) => add(&self.database, transaction, Note::<1>::new(row).publication()).await,
            (Some(partition), topic) => {
                let text = format!(
                    "insert into {}.outbox (topic, partition, at, key, headers, value) values ($1, $2, $3, $4, '', $5)",
                    self.schema
                );
                let (partition, at) = (i32::try_from(partition).unwrap(), AT.as_millis());
                let (key, value) = (row.key.map(str::as_bytes), row.value.as_bytes());
                transaction.execute(&text, &[&TOPICS[topic], &partition, &at, &key, &value]).await.unwrap();
            }
        }
    }
}

impl Outboxes for Rows {
    fn outbox(&self) -> Box<dyn Outbox> {
        Box::new(OutboxTable::new(&self.database))
    }

    fn transact<'a>(
        &'a self,
        rows: &'a [Draft],
        commits: bool,
        meanwhile: LocalBoxFuture<'a, ()>,
    ) -> LocalBoxFuture<'a, ()> {
        Box::pin(async move {
            let mut client = client(self.url).await;
            let transaction = client.transaction().await.unwrap();
            for row in rows {
                self.add(&transaction, row).await;
            }
            meanwhile.await;
            if commits {
                transaction.commit().await.unwrap();
            } else {
                transaction.rollback().await.unwrap();
            }
        })
    }

    fn places_rows(&self) -> bool {
        true
    }

    fn run(&self, check: LocalBoxFuture<'_, ()>) {
        event_loop().block_on(check);
    }

    fn pass(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        Wall.sleep(duration)
    }
}

#[test]
fn postgres_has_an_outbox() {
    let Some(url) = devkit::postgres::for_tests("an outbox in Postgres") else { return };
    let count = Cell::new(0);
    conformance::outbox(|| {
        count.set(count.get() + 1);
        Box::new(Rows::new(url, format!("outbox_suite_{}", count.get())))
    });
}
