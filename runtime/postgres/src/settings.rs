//! How the database is reached.

use std::str::FromStr;
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tokio_postgres::Config;

/// How long a database may be silent.
const SILENCE: Duration = Duration::from_secs(20);
/// A channel is named after the schema.
const LONGEST_SCHEMA: usize = 50;

/// The database, and what the runtime may do with it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) config: Config,
    /// The schema that the runtime's tables lie in.
    pub(crate) schema: String,
    /// Connections of each worker, beside one by which it takes shards: as many units commit at the same time.
    pub connections: usize,
    /// How long a takeover waits for a former owner's commits, before it ends that one's connections.
    pub lock_timeout: Duration,
    /// How long a transaction may stand still before the server ends it: whoever hangs must not hold rows for ever. Longer than a
    /// handler may take, which may wait for something else in the middle of its transaction.
    pub idle_timeout: Duration,
}

impl Settings {
    /// The database of this URL (`postgres://USER:PASSWORD@HOST:PORT/DATABASE`), with the tables in this schema. An error never holds
    /// the URL, as a password is in it.
    pub fn new(url: &str, schema: &str) -> Result<Self, Coded> {
        let mut config = Config::from_str(url).map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Coded::new(Code::BAD_VALUE, format!("the URL of the database cannot be read: {cause}"))
        })?;
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        // A database that vanished without a word has to be noticed.
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(SILENCE);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.keepalives_idle(SILENCE);
        if schema.is_empty()
            || schema.len() > LONGEST_SCHEMA
            || schema.starts_with(|first: char| first.is_ascii_digit())
            || !schema.chars().all(is_plain)
        {
            let message =
                format!("{schema:?} cannot name a schema here: up to {LONGEST_SCHEMA} small letters, digits and _ can");
            return Err(Coded::new(Code::BAD_VALUE, message));
        }
        Ok(Self {
            config,
            schema: schema.to_owned(),
            connections: 16,
            lock_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_mins(1),
        })
    }

    /// The same with this password, whatever the URL says.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// The schema that the runtime's tables lie in.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// How a program's own connections are opened.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the database is called in messages: without a password.
    pub fn address(&self) -> String {
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                tokio_postgres::config::Host::Tcp(name) => name.clone(),
                tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let ports: Vec<String> = self.config.get_ports().iter().map(ToString::to_string).collect();
        format!("{}:{}/{}", hosts.join(","), ports.join(","), self.config.get_dbname().unwrap_or_default())
    }
}
