//! From records to what they mean to a saga.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::codec::CodecError;
use crate::context::Context;
use crate::event::Event;
use crate::handler::{Failure, Route};
use crate::saga::process::{Process, failed};
use crate::saga::reaction::{Reader, Reads};

/// From a record to what its event means in the state of its instance.
pub(super) struct SagaRoute<G> {
    pub(super) reader: Arc<dyn Reader>,
    pub(super) process: Arc<Process<G>>,
    pub(super) event: &'static str,
}

impl<G: Send + Sync + 'static> Route for SagaRoute<G> {
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.process.take(self.event, value, cx))
    }

    fn check(&self, value: &Bytes) -> Result<(), CodecError> {
        self.reader.check(value)
    }

    fn names(&self, value: &Bytes) -> Option<Vec<u8>> {
        self.reader.names(value)
    }

    fn missing(&self, value: &[u8]) -> Option<u32> {
        self.reader.missing(value)
    }

    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError> {
        self.reader.learn(id, schema)
    }
}

/// From a saga's own timer to what it does by itself, and from an operator's command to what a person does.
pub(super) struct OwnRoute<G> {
    pub(super) process: Arc<Process<G>>,
    pub(super) is_command: bool,
}

impl<G: Send + Sync + 'static> Route for OwnRoute<G> {
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if self.is_command { self.process.help(value, cx).await } else { self.process.own(value, cx).await }
        })
    }

    fn check(&self, _value: &Bytes) -> Result<(), CodecError> {
        Ok(())
    }

    fn names(&self, _value: &Bytes) -> Option<Vec<u8>> {
        None
    }

    fn missing(&self, _value: &[u8]) -> Option<u32> {
        None
    }

    fn learn(&self, _id: u32, _schema: &str) -> Result<(), CodecError> {
        Ok(())
    }
}

/// From a record that stands under another key to the same under the key of its instance.
pub(super) struct RekeyRoute<E: Event, K> {
    pub(super) reads: Arc<Reads<E>>,
    /// The saga's name.
    pub(super) saga: Arc<str>,
    pub(super) key: fn(&E) -> K,
}

impl<E: Event, K: Into<Vec<u8>> + 'static> Route for RekeyRoute<E, K> {
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let key: Vec<u8> = (self.key)(&self.reads.read(value)?).into();
            cx.hand_on(&self.saga, &key).map_err(failed)
        })
    }

    fn check(&self, value: &Bytes) -> Result<(), CodecError> {
        self.reads.check(value)
    }

    fn names(&self, value: &Bytes) -> Option<Vec<u8>> {
        self.reads.names(value)
    }

    fn missing(&self, value: &[u8]) -> Option<u32> {
        self.reads.missing(value)
    }

    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError> {
        self.reads.learn(id, schema)
    }
}
