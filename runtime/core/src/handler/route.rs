//! From a record to the handler of its event type: the seam where types are erased.

use std::any::Any;
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

/// What can be told of a value without its handler, the event's type forgotten.
pub(crate) trait Reader: Any + Send + Sync {
    /// Whether a value is an event of the type.
    fn check(&self, value: &Bytes) -> Result<(), CodecError>;

    /// The id that a value names for its event, where its type says which field that is.
    fn names(&self, value: &Bytes) -> Option<Vec<u8>>;

    /// A value as people read it, if it can be shown so.
    fn shown(&self, value: &Bytes) -> Option<serde_json::Value>;

    /// The id of the registered schema without which a value cannot be read.
    fn missing(&self, value: &[u8]) -> Option<u32>;

    /// Takes note of a registered schema.
    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError>;
}

/// The codec of events of type `E`, and what it has learned.
pub(crate) struct Reads<E: Event>(E::Codec);

impl<E: Event> Reads<E> {
    pub(crate) fn open() -> Result<Self, Coded> {
        E::Codec::open().map(Self)
    }

    pub(crate) fn read(&self, value: &Bytes) -> Result<E, Failure> {
        self.0.decode(value).map_err(Failure::Undecodable)
    }
}

impl<E: Event> Reader for Reads<E> {
    fn check(&self, value: &Bytes) -> Result<(), CodecError> {
        self.0.decode(value).map(drop)
    }

    fn names(&self, value: &Bytes) -> Option<Vec<u8>> {
        if !E::NAMES_ID {
            return None;
        }
        self.0.decode(value).ok()?.id().map(Cow::into_owned)
    }

    fn shown(&self, value: &Bytes) -> Option<serde_json::Value> {
        self.0.shown(value)
    }

    fn missing(&self, value: &[u8]) -> Option<u32> {
        self.0.missing(value)
    }

    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError> {
        self.0.learn(id, schema)
    }
}

/// Decodes a record's value and runs the handler of its type.
pub(crate) trait Route: Send + Sync {
    /// One attempt.
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>>;

    /// What reads its values.
    fn reader(&self) -> &dyn Reader;
}

/// The route of event type `E` to handler `H`.
pub(crate) struct TypedRoute<E: Event, H> {
    reads: Reads<E>,
    handler: Arc<H>,
}

impl<E: Event, H: Handler<E>> TypedRoute<E, H> {
    pub(crate) fn open(handler: Arc<H>) -> Result<Box<dyn Route>, Coded> {
        Ok(Box::new(Self { reads: Reads::open()?, handler }))
    }
}

impl<E: Event, H: Handler<E>> Route for TypedRoute<E, H> {
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let event = self.reads.read(value)?;
            self.handler.handle(&event, cx).await.map_err(Failure::Handler)
        })
    }

    fn reader(&self) -> &dyn Reader {
        &self.reads
    }
}
