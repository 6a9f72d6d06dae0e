//! An event-driven message-bus runtime for services written in Rust: what a service imports.
//!
//! A service is declared with [`service::Service::builder`], its handlers implement [`handler::Handler`], and [`main`] gives
//! it its command line. [`host::Host`] runs several services in one process; [`query::Query`] reads what they keep.
//! `docs/GUIDE.md` shows how to write one.

pub mod command;
pub mod config;
mod exported;
mod files;
pub mod host;
pub mod prelude;
pub mod query;
pub mod replay;
mod said;
pub mod telemetry;

pub use tidemill_core::{
    code, codec, context, envelopes, event, failure, handler, headers, internal, layer, letters, limits, outputs,
    parking, partitioner, ports, publisher, record, relay, retry, saga, service, state, time, timers,
};
pub use tidemill_embedded::{Local, Transaction};
pub use tidemill_postgres as postgres;
pub use tidemill_schema as schema;

pub use command::{main, main_with};

/// What the derives name, so that they work inside this crate's tests too.
#[cfg(test)]
extern crate self as tidemill;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The examples of the guide, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/GUIDE.md")]
struct Guide;

/// The examples of the page on copies of events, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/IDEMPOTENCY.md")]
struct Idempotency;

/// The examples of the page on Postgres, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/POSTGRES.md")]
struct Postgres;

/// The examples of the page on failures, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/FAILURES.md")]
struct Failures;

/// The examples of the page on timers, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/TIMERS.md")]
struct TimersPage;

/// The examples of the page on sagas, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SAGAS.md")]
struct SagasPage;

/// The examples of the page on outboxes, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/OUTBOX.md")]
struct OutboxPage;

/// The examples of the page on tests, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/TESTING.md")]
struct Testing;

/// The examples of the page on replays, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/REPLAY.md")]
struct ReplayPage;

/// The examples of the page that finds a bug, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/DEBUGGING.md")]
struct DebuggingPage;
