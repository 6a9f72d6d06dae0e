//! SQL of handlers.

use tidemill_core::code::{Code, Coded};
use tidemill_core::context::Context;
use tidemill_core::handler::HandlerError;
use tokio_postgres::{Error, Row};

use crate::connection::Values;
use crate::failure::{Kind, kind, words};
use crate::transaction::{Transaction, Within};

/// SQL in the transaction of a unit.
pub trait SqlContext {
    /// The unit's own transaction. What it does commits together with the unit's state, events and progress, or not at all.
    ///
    /// An error where the service's state is not in Postgres.
    fn sql(&mut self) -> Result<Sql<'_>, HandlerError>;
}

impl SqlContext for Context<'_> {
    fn sql(&mut self) -> Result<Sql<'_>, HandlerError> {
        let transaction = self.transaction::<Transaction>().ok_or_else(|| {
            let message = "a handler works with SQL, and the service's state is not in Postgres; start it with --state postgres://…";
            HandlerError::fatal(Coded::new(Code::NOT_OFFERED, message))
        })?;
        Ok(Sql { transaction })
    }
}

/// Statements in the transaction of a unit. A text is prepared once for each connection, so what changes belongs into its values
/// (`$1`, `$2`, …).
///
/// What other transactions were in the way of, or what the connection broke under, is tried again and costs the record no attempt.
pub struct Sql<'u> {
    transaction: &'u mut Transaction,
}

/// What a handler's statement failed with: for good where the database says that what was asked for is wrong (a broken constraint, a
/// value that does not fit, a mistake in the statement), else for a while.
pub fn failed(error: &Error) -> HandlerError {
    match kind(error) {
        Kind::Unfit => HandlerError::permanent(words(error)),
        _ => HandlerError::transient(words(error)),
    }
}

fn not_done(within: Within) -> HandlerError {
    match within {
        Within::NoConnection(cause) => HandlerError::fatal(cause),
        Within::Failed(error) => failed(&error),
    }
}

impl Sql<'_> {
    /// Runs a statement, and tells how many rows it touched.
    pub async fn execute(&mut self, text: &str, values: Values<'_>) -> Result<u64, HandlerError> {
        let done = self.transaction.within(|connection| async move {
            let statement = connection.statement(text).await?;
            connection.client.execute(&statement, values).await
        });
        done.await.map_err(not_done)
    }

    /// Runs a statement, and returns its rows.
    pub async fn query(&mut self, text: &str, values: Values<'_>) -> Result<Vec<Row>, HandlerError> {
        let rows = self.transaction.within(|connection| async move {
            let statement = connection.statement(text).await?;
            connection.client.query(&statement, values).await
        });
        rows.await.map_err(not_done)
    }

    /// Runs a statement of which one row is expected, or none; of more, the first.
    pub async fn query_opt(&mut self, text: &str, values: Values<'_>) -> Result<Option<Row>, HandlerError> {
        Ok(self.query(text, values).await?.into_iter().next())
    }
}
