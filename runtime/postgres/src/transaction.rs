//! The transaction of one unit.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::ops::Bound;
use std::pin::pin;
use std::rc::Rc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{join, poll_immediate, try_join};
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Answer, Entry, KeyRange, UnitEffects, UnitTransaction};
use tokio_postgres::{Error, Row};

use crate::commits::Owned;
use crate::connection::Connection;
use crate::failure::{Kind, answer, coded, kind};
use crate::pool::{Lent, Pool};
use crate::settled::Settled;

/// A unit's transaction. It has a connection, and is open in the database, from the first statement on.
pub(crate) struct Transaction {
    pool: Rc<Pool>,
    owned: Owned,
    lent: Option<Lent>,
    /// What broke it, where that was no fault of whoever used it.
    broken: RefCell<Option<Coded>>,
}

impl Transaction {
    pub(crate) fn new(pool: Rc<Pool>, owned: Owned) -> Self {
        Self { pool, owned, lent: None, broken: RefCell::default() }
    }

    /// Takes a connection where there is none yet. A handler that is given up meanwhile is not at fault.
    async fn connected(&mut self) -> Result<(), Coded> {
        if self.lent.is_none() {
            let waits = Coded::new(Code::DATABASE_UNREACHABLE, "no connection to the database came free");
            *self.broken.borrow_mut() = Some(waits);
            self.lent = Some(self.pool.take().await?);
            *self.broken.borrow_mut() = None;
        }
        Ok(())
    }

    /// Does something in the transaction, which is opened by the same round trip where it is not open yet. Behind a beginning that failed
    /// it could only read.
    pub(crate) async fn within<'t, T, F>(&'t mut self, act: impl FnOnce(&'t Connection) -> F) -> Result<T, Within>
    where
        F: Future<Output = Result<T, Error>> + 't,
        T: 't,
    {
        self.connected().await.map_err(Within::NoConnection)?;
        let connection: &Connection = self.lent.as_ref().expect("it was taken");
        let is_first = !connection.is_open.replace(true);
        connection.waits.set(true);
        let answer = if is_first {
            let (begun, answer) =
                join(connection.client.execute(&connection.prepared.begin, &[]), act(connection)).await;
            begun.and(answer)
        } else {
            act(connection).await
        };
        connection.waits.set(false);
        answer.map_err(|error| {
            if kind(&error) == Kind::Stale {
                connection.forget_statements();
            }
            if matches!(kind(&error), Kind::Away | Kind::Conflict | Kind::Stale) {
                *self.broken.borrow_mut() = Some(coded(&error, "the transaction cannot go on"));
            }
            Within::Failed(error)
        })
    }

    async fn read<'t, F>(&'t mut self, act: impl FnOnce(&'t Connection) -> F) -> Result<Vec<Row>, Coded>
    where
        F: Future<Output = Result<Vec<Row>, Error>> + 't,
    {
        self.within(act).await.map_err(|failed| failed.coded("state cannot be read"))
    }
}

/// Why something was not done in a transaction.
pub(crate) enum Within {
    NoConnection(Coded),
    Failed(Error),
}

impl Within {
    pub(crate) fn coded(self, what: &str) -> Coded {
        match self {
            Self::NoConnection(cause) => cause,
            Self::Failed(error) => coded(&error, what),
        }
    }
}

/// A range as the first key and the first one behind it, if anything lies behind it.
pub(crate) fn bounds(range: &KeyRange) -> (Vec<u8>, Option<Vec<u8>>) {
    let next = |key: &Bytes| [&key[..], &[0]].concat();
    let start = match &range.start {
        Bound::Included(key) => key.to_vec(),
        Bound::Excluded(key) => next(key),
        Bound::Unbounded => Vec::new(),
    };
    let end = match &range.end {
        Bound::Included(key) => Some(next(key)),
        Bound::Excluded(key) => Some(key.to_vec()),
        Bound::Unbounded => None,
    };
    (start, end)
}

/// A limit as the database counts.
pub(crate) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Bytes of a column.
pub(crate) fn bytes(row: &Row, column: usize) -> Bytes {
    Bytes::copy_from_slice(row.get(column))
}

#[async_trait(?Send)]
impl UnitTransaction for Transaction {
    async fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        let (shard, key) = (self.owned.id, key.to_vec());
        let rows = self
            .read(|connection| async move { connection.client.query(&connection.prepared.get, &[&shard, &key]).await });
        Ok(rows.await?.first().map(|row| bytes(row, 0)))
    }

    async fn scan(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        let (shard, (start, end), limit) = (self.owned.id, bounds(range), rows(limit));
        let found = self.read(|connection| async move {
            let Connection { client, prepared, .. } = connection;
            match end {
                Some(end) => client.query(&prepared.scan, &[&shard, &start, &end, &limit]).await,
                None => client.query(&prepared.scan_on, &[&shard, &start, &limit]).await,
            }
        });
        Ok(found.await?.iter().map(|row| (bytes(row, 0), bytes(row, 1))).collect())
    }

    async fn commit(mut self: Box<Self>, effects: UnitEffects) -> Answer {
        if let Err(cause) = self.connected().await {
            return Answer::NotCommitted(cause);
        }
        let connection: &Connection = self.lent.as_ref().expect("it was taken");
        let settled = Settled::of(&effects);
        let values = settled.values(&self.owned);
        let Connection { client, prepared, is_open, waits, .. } = connection;
        waits.set(true);
        let is_first = !is_open.replace(true);
        let begin = async { if is_first { client.execute(&prepared.begin, &[]).await } else { Ok(0) } };
        let mut sent = pin!(try_join(begin, client.query_one(&prepared.settle, &values)));
        // What cannot be sent fails at once, and nothing may commit behind it.
        if let Some(Err(error)) = poll_immediate(sent.as_mut()).await {
            return answer(&error);
        }
        // The end goes out with it: behind a statement that failed, it undoes everything.
        let (settled, ended) = join(sent, client.execute(&prepared.commit, &[])).await;
        is_open.set(ended.is_err());
        let answers = settled.and(ended);
        waits.set(false);
        let Err(error) = answers else { return Answer::Committed };
        match (answer(&error), self.broken.take()) {
            // A handler went on after its statement had been in the way of another.
            (Answer::Refused(_), Some(cause)) => Answer::NotCommitted(cause),
            (answer, _) => answer,
        }
    }

    fn broken(&self) -> Option<Coded> {
        self.broken.borrow().clone()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
