//! From a record to the handler of its event type: the seam where types are erased.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::code::Coded;
use crate::codec::{Codec, CodecError};
use crate::context::Context;
use crate::event::Event;
use crate::handler::{Handler, HandlerError};

/// Why an attempt did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The record's bytes are not an event of the type it names.
    Undecodable(CodecError),
    /// The handler, or the runtime under it, failed.
    Handler(HandlerError),
    /// The handler panicked, with this message.
    Panicked(String),
    /// The handler did not end in time.
    TimedOut,
    /// What the unit did is not taken where it is committed.
    Refused(Coded),
    /// The process ended the last time the record was handled.
    Crashed,
}

/// Decodes a record's value and runs the handler of its type.
pub(crate) trait Route: Send + Sync {
    /// One attempt.
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>>;

    /// Whether a value is an event of the type.
    fn check(&self, value: &Bytes) -> Result<(), CodecError>;

    /// The id that a value names for its event, where its type says which field that is.
    fn names(&self, value: &Bytes) -> Option<Vec<u8>>;

    /// The id of the registered schema without which a value cannot be read.
    fn missing(&self, value: &[u8]) -> Option<u32>;

    /// Takes note of a registered schema.
    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError>;
}

/// The route of event type `E` to handler `H`.
pub(crate) struct TypedRoute<E: Event, H> {
    codec: E::Codec,
    handler: Arc<H>,
}

impl<E: Event, H: Handler<E>> TypedRoute<E, H> {
    pub(crate) fn open(handler: Arc<H>) -> Result<Box<dyn Route>, Coded> {
        Ok(Box::new(Self { codec: E::Codec::open()?, handler }))
    }
}

impl<E: Event, H: Handler<E>> Route for TypedRoute<E, H> {
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let event = self.codec.decode(value).map_err(Failure::Undecodable)?;
            self.handler.handle(&event, cx).await.map_err(Failure::Handler)
        })
    }

    fn check(&self, value: &Bytes) -> Result<(), CodecError> {
        self.codec.decode(value).map(drop)
    }

    fn names(&self, value: &Bytes) -> Option<Vec<u8>> {
        if !E::NAMES_ID {
            return None;
        }
        self.codec.decode(value).ok()?.id().map(Cow::into_owned)
    }

    fn missing(&self, value: &[u8]) -> Option<u32> {
        self.codec.missing(value)
    }

    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError> {
        self.codec.learn(id, schema)
    }
}
