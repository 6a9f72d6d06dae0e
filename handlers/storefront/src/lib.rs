//! The shop's HTTP front: a program that is no handler, and puts out an event for each order that it takes, once.
//!
//! The row of an order and its event are written in one transaction; a relay sends the event to the log. A client that does not know
//! whether its order arrived sends it again with the same `Idempotency-Key`, and is answered as the first time.

mod events;
mod http;
mod key;
mod openapi;
mod options;
mod order;
mod projection;
mod serve;
mod store;

pub use http::router;
pub use key::Key;
pub use openapi::description;
pub use options::{Storefront, work};
pub use order::{Fault, Line, NewOrder, Order, Status};
pub use orders::{OrderRequested, RequestedLine};
pub use projection::service;
pub use serve::serve;
pub use store::{Error, Store, TABLES};

/// What the program is called.
pub const NAME: &str = "storefront";
/// What its events are signed with.
pub const SOURCE: &str = "/shop/storefront";
