//! One connection to the database, driven by a task of its own.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, Statement};

use crate::failure::{Kind, coded, kind, words};
use crate::settings::Settings;
use crate::statements::{Prepared, SETTINGS, Texts};

/// Values of a statement.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Opens a connection that is called `name` in the database. Its task ends with the client.
#[expect(clippy::disallowed_methods, reason = "the driver of a connection: it ends when the client is dropped")]
pub(crate) async fn connect(settings: &Settings, name: &str) -> Result<(Client, JoinHandle<()>), Coded> {
    let mut config = settings.config.clone();
    config.application_name(name);
    let (client, connection) = config.connect(NoTls).await.map_err(|error| not_let_in(settings, &error))?;
    let drive = async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = words(&error), "a connection to the database ended");
        }
    };
    Ok((client, tokio::spawn(drive)))
}

/// Tells that something came by a channel that a connection listens to.
pub(crate) struct Wake(Arc<Notify>);

impl Wake {
    /// Completes when something came since this completed last.
    pub(crate) async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Opens a connection that can listen to channels.
#[expect(clippy::disallowed_methods, reason = "the driver of a connection: it ends when the client is dropped")]
pub(crate) async fn listen(settings: &Settings, name: &str) -> Result<(Client, Wake), Coded> {
    let mut config = settings.config.clone();
    config.application_name(name);
    let (client, mut connection) = config.connect(NoTls).await.map_err(|error| not_let_in(settings, &error))?;
    let notify = Arc::<Notify>::default();
    let wake = Wake(Arc::clone(&notify));
    let drive = async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(_) = message {
                notify.notify_one();
            }
        }
        // Whoever waits sees that the connection is gone.
        notify.notify_one();
    };
    tokio::spawn(drive);
    Ok((client, wake))
}

fn not_let_in(settings: &Settings, error: &Error) -> Coded {
    let code = match kind(error) {
        Kind::Denied => Code::DATABASE_REFUSES,
        // It said no before the server was asked: a password is missing, or of a kind that we do not know.
        Kind::Unfit if error.code().is_none() && !error.is_closed() => Code::DATABASE_REFUSES,
        _ => Code::DATABASE_UNREACHABLE,
    };
    Coded::new(code, format!("the database at {} does not let us in: {}", settings.address(), words(error)))
}

/// Has commits on this connection wait for the disk, whatever is usual for this user: what is answered has to be there after a crash of the
/// database too, as it is not sent or done again.
pub async fn waits_for_disk(client: &Client) -> Result<(), Coded> {
    const SET: &str =
        "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";
    client.batch_execute(SET).await.map_err(|error| coded(&error, "a connection cannot be prepared"))
}

/// A connection of a worker.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) prepared: Prepared,
    /// Statements of handlers.
    statements: RefCell<BTreeMap<Box<str>, Statement>>,
    /// Whether a transaction is open.
    pub(crate) is_open: Cell<bool>,
    /// Whether a statement was sent and its answer did not come yet.
    pub(crate) waits: Cell<bool>,
}

impl Connection {
    pub(crate) async fn open(settings: &Settings, texts: &Texts, name: &str) -> Result<Self, Coded> {
        let (client, _) = connect(settings, name).await?;
        let idle = settings.idle_timeout.as_millis();
        let set = format!("{SETTINGS}; set idle_in_transaction_session_timeout = {idle}");
        client.batch_execute(&set).await.map_err(|error| coded(&error, "a connection cannot be prepared"))?;
        waits_for_disk(&client).await?;
        let prepared = texts.prepare(&client).await;
        let prepared = prepared.map_err(|error| coded(&error, "the runtime's statements cannot be prepared"))?;
        let (is_open, waits) = (Cell::new(false), Cell::new(false));
        Ok(Self { client, prepared, statements: RefCell::default(), is_open, waits })
    }

    /// A handler's statement, prepared once.
    pub(crate) async fn statement(&self, text: &str) -> Result<Statement, Error> {
        let known = self.statements.borrow().get(text).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let statement = self.client.prepare(text).await?;
        self.statements.borrow_mut().insert(text.into(), statement.clone());
        Ok(statement)
    }

    pub(crate) fn forget_statements(&self) {
        self.statements.borrow_mut().clear();
    }

    /// Undoes what is open, however far it is. Answers the connection where it can be used again.
    pub(crate) async fn undo(self) -> Option<Self> {
        let is_cancelled = self.waits.get();
        if is_cancelled {
            // Whoever waits for a row does so until it is told not to. That may reach the server late, and hit what comes next there, so
            // nothing does.
            let cancelled = self.client.cancel_token().cancel_query(NoTls).await;
            cancelled.ok()?;
        }
        self.client.batch_execute("rollback").await.ok()?;
        self.is_open.set(false);
        (!is_cancelled).then_some(self)
    }
}
