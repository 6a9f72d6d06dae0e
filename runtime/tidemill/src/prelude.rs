//! What a service's source imports: `use tidemill::prelude::*`.
//!
//! The derives of `Serialize` and `Deserialize` name the crate `serde`, so a service depends on it too.

pub use async_trait::async_trait;
pub use serde::{Deserialize, Serialize};

pub use tidemill_core::context::Context;
pub use tidemill_core::event::Event;
pub use tidemill_core::handler::{Handler, HandlerError};
pub use tidemill_core::layer::{AttemptError, Layer, Next};
pub use tidemill_core::service::{HandlerBuilder, Service, ServiceBuilder};
pub use tidemill_core::state::{Cell, Map};
pub use tidemill_macros::{Event, Typed};
pub use tidemill_postgres::SqlContext;
pub use tidemill_schema::Typed;
