//! Postgres as the place where a service's effects commit.
//!
//! Records come from a log (any [`Broker`](tidemill_core::ports::Broker)); what a unit does with one commits in a transaction of
//! Postgres: the handler's own rows, its state, that the record is done, and the events it emitted, which lie in an outbox then.

mod broker;
mod commits;
mod connection;
mod failure;
mod migrations;
mod outbox;
mod pool;
mod settings;
mod settled;
mod sql;
mod statements;
mod table;
mod transaction;

pub use broker::Postgres;
pub use connection::waits_for_disk;
pub use failure::coded;
pub use migrations::{Tables, Version, check, migrate};
pub use outbox::Outbox;
pub use settings::Settings;
pub use sql::{Sql, SqlContext, failed};
pub use table::OutboxTable;
pub use tokio_postgres;
