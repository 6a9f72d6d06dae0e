//! Where state is kept: with the log, in a database beside it, or, for programs that are no services, in a directory of rows.

use std::path::Path;
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Blocking, Broker, Clock, Outbox};
use tidemill_embedded::Local;
use tidemill_postgres::{OutboxTable, Postgres, Settings};

use crate::config::Configuration;
use crate::host::broker;
use crate::host::machine::{Threads, WallClock};

/// What says that state is kept with the log.
const BROKER: &str = "broker";
/// The scheme of a directory of rows.
const EMBEDDED: &str = "embedded:";
/// The schemes of a database.
const POSTGRES: &[&str] = &["postgres://", "postgresql://"];
/// What the name of a relay's topic ends with.
const RELAY: &str = ".relay";
/// What the topic of a relay begins with where rows lie in a directory and no name is configured.
const ROWS: &str = "rows";

/// Where state is kept.
pub(super) enum State {
    /// With the log.
    Log,
    /// In a database, by which the broker stands that services use.
    Database(Arc<Postgres>),
    /// Rows of a program in a directory; services keep nothing there.
    Rows(Local),
}

/// Whether state is kept in a database.
pub(super) fn is_database(configuration: &Configuration) -> bool {
    POSTGRES.iter().any(|scheme| configuration.state().starts_with(scheme))
}

/// The database that the configuration names. An error (TM-0102) where it names none.
pub fn database(configuration: &Configuration) -> Result<Settings, Coded> {
    if !is_database(configuration) {
        let message = "state names no database; say --state postgres://USER@HOST:PORT/DATABASE";
        return Err(Coded::new(Code::BAD_VALUE, message));
    }
    let mut settings = Settings::new(configuration.state(), configuration.text("postgres.schema"))?;
    if let Some(password) = configuration.given("postgres.password") {
        settings = settings.with_password(password);
    }
    let number = |key: &str| configuration.number(key).and_then(|number| usize::try_from(number).ok());
    settings.connections = number("postgres.connections").unwrap_or(settings.connections);
    settings.lock_timeout = configuration.time("postgres.lock_timeout").unwrap_or(settings.lock_timeout);
    Ok(settings)
}

pub(super) fn no_outbox() -> Coded {
    let message = "state is kept with the broker, and has no outbox; say --state postgres://… or embedded:DIR";
    Coded::new(Code::BAD_VALUE, message)
}

/// The directory of rows that the configuration names.
fn rows(configuration: &Configuration, clock: Arc<dyn Clock>, blocking: Arc<dyn Blocking>) -> Result<Local, Coded> {
    match configuration.state().strip_prefix(EMBEDDED) {
        Some(directory) if !directory.is_empty() => {
            Local::open(Path::new(directory), &broker::settings(configuration), clock, blocking)
        }
        _ => {
            let message = "state has to be broker, postgres://USER@HOST:PORT/DATABASE or embedded:DIR";
            Err(Coded::new(Code::BAD_VALUE, message))
        }
    }
}

/// The outbox of the place that the configuration names, without its log. An error (TM-0102) where it has none.
pub(crate) fn outbox(configuration: &Configuration) -> Result<Box<dyn Outbox>, Coded> {
    if is_database(configuration) {
        return Ok(Box::new(OutboxTable::new(&database(configuration)?)));
    }
    if configuration.state() == BROKER {
        return Err(no_outbox());
    }
    Ok(rows(configuration, Arc::new(WallClock), Arc::new(Threads::new()))?.outbox())
}

impl State {
    /// Opens what the configuration names, beside this log.
    pub(super) fn open(
        configuration: &Configuration,
        log: &Arc<dyn Broker>,
        clock: &Arc<dyn Clock>,
        blocking: &Arc<dyn Blocking>,
    ) -> Result<Self, Coded> {
        if configuration.state() == BROKER {
            return Ok(Self::Log);
        }
        if is_database(configuration) {
            let beside = Postgres::beside(Arc::clone(log), database(configuration)?, Arc::clone(clock));
            return Ok(Self::Database(beside));
        }
        rows(configuration, Arc::clone(clock), Arc::clone(blocking)).map(Self::Rows)
    }

    /// What services use in place of the log.
    pub(super) fn broker(&self, log: &Arc<dyn Broker>) -> Arc<dyn Broker> {
        match self {
            Self::Database(beside) => Arc::<Postgres>::clone(beside),
            Self::Log | Self::Rows(_) => Arc::clone(log),
        }
    }

    /// The outbox that has to be relayed, if there is one.
    pub(super) fn outbox(&self) -> Option<Box<dyn Outbox>> {
        match self {
            Self::Log => None,
            Self::Database(beside) => Some(Box::new(OutboxTable::new(beside.settings()))),
            Self::Rows(rows) => Some(rows.outbox()),
        }
    }

    /// What the outbox is relayed under, if there is one.
    pub(super) fn relay_name(&self, configuration: &Configuration) -> Option<String> {
        let own = match self {
            Self::Log => return None,
            Self::Database(_) => configuration.text("postgres.schema"),
            Self::Rows(_) => ROWS,
        };
        Some(format!("{}{RELAY}", configuration.given("outbox.name").unwrap_or(own)))
    }
}
