//! The connections of one worker.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Clock;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection::Connection;
use crate::settings::Settings;
use crate::statements::Texts;

/// How long to wait before a database is tried again that does not answer.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// Connections that are free, the last one that was given back first.
#[derive(Default)]
struct Idle(Mutex<Vec<Connection>>);

impl Idle {
    fn take(&self) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.client.is_closed())
    }

    fn put(&self, connection: Connection) {
        if !connection.client.is_closed() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// Connections of one worker, opened when they are needed. As many units as there may be connections have one at a time.
pub(crate) struct Pool {
    pub(crate) settings: Arc<Settings>,
    pub(crate) texts: Arc<Texts>,
    /// What its connections are called in the database.
    pub(crate) name: String,
    pub(crate) clock: Arc<dyn Clock>,
    free: Arc<Semaphore>,
    idle: Arc<Idle>,
    /// Whether it was said that the database does not answer.
    said: Cell<bool>,
}

impl Pool {
    pub(crate) fn new(settings: Arc<Settings>, texts: Arc<Texts>, name: String, clock: Arc<dyn Clock>) -> Self {
        let free = Arc::new(Semaphore::new(settings.connections.max(1)));
        Self { settings, texts, name, clock, free, idle: Arc::default(), said: Cell::new(false) }
    }

    /// A connection, as soon as one is free. A database that does not answer is tried until it does.
    pub(crate) async fn take(&self) -> Result<Lent, Coded> {
        let permit = Arc::clone(&self.free).acquire_owned().await.expect("it is never closed");
        loop {
            let connection = match self.idle.take() {
                Some(connection) => Ok(connection),
                None => Connection::open(&self.settings, &self.texts, &self.name).await,
            };
            match connection {
                Ok(connection) => {
                    if self.said.replace(false) {
                        tracing::info!(database = self.settings.address(), "the database answers again");
                    }
                    let (connection, permit) = (Some(connection), Some(permit));
                    return Ok(Lent { connection, permit, idle: Arc::clone(&self.idle) });
                }
                Err(cause) if cause.code == Code::DATABASE_UNREACHABLE => {
                    if !self.said.replace(true) {
                        tracing::warn!(%cause, "the database does not answer; it is tried until it does");
                    }
                    self.clock.sleep(PAUSE).await;
                }
                Err(cause) => return Err(cause),
            }
        }
    }
}

/// A connection that goes back when this is dropped, after what is open on it is undone.
pub(crate) struct Lent {
    connection: Option<Connection>,
    permit: Option<OwnedSemaphorePermit>,
    idle: Arc<Idle>,
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is there until the drop")
    }
}

impl Drop for Lent {
    #[expect(clippy::disallowed_methods, reason = "it ends as soon as the database has undone the transaction")]
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !connection.is_open.get() && !connection.waits.get() {
            return self.idle.put(connection);
        }
        let (idle, permit) = (Arc::clone(&self.idle), self.permit.take());
        let undo = async move {
            if let Some(connection) = connection.undo().await {
                idle.put(connection);
            }
            drop(permit);
        };
        // Where the thread's loop has ended, so do its connections.
        if Handle::try_current().is_ok() {
            tokio::spawn(undo);
        }
    }
}
