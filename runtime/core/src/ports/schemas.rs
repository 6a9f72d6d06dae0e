//! The schemas port: schemas that a registry holds, by their ids.

use std::sync::Arc;

use async_trait::async_trait;

use crate::code::Coded;

/// A registry of schemas. Shared by threads.
///
/// Contract: an id means one schema for ever. Futures may be dropped at any moment.
#[async_trait]
pub trait Schemas: Send + Sync {
    /// The text of a schema. It is waited for as long as the registry does not answer; an id that it does not have, or whose
    /// schema cannot be read here, is an error.
    async fn schema(&self, id: u32) -> Result<Arc<str>, Coded>;

    /// The id under which this schema is registered for the values of a topic. One that is not registered is an error that
    /// says what to do; so is a registry that does not answer within some seconds, or that does not let us in.
    async fn id(&self, topic: &str, schema: &str) -> Result<u32, Coded>;
}
