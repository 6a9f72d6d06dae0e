//! From records to what they mean to a saga.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::codec::CodecError;
use crate::context::Context;
use crate::event::Event;
use crate::handler::{Failure, Handler, HandlerError, Reader, Route};
use crate::saga::process::Process;

/// From a record to what its event means in the state of its instance. All steps of an event share its reader, and so what that learns.
pub(super) struct SagaRoute<G> {
    pub(super) reader: Arc<dyn Reader>,
    pub(super) process: Arc<Process<G>>,
    pub(super) event: &'static str,
}

impl<G: Send + Sync + 'static> Route for SagaRoute<G> {
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.process.take(self.event, value, cx))
    }

    fn reader(&self) -> &dyn Reader {
        &*self.reader
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

    fn reader(&self) -> &dyn Reader {
        &Own
    }
}

/// Values that the runtime writes for itself: no schema, and no id of their own.
struct Own;

impl Reader for Own {
    fn check(&self, _value: &Bytes) -> Result<(), CodecError> {
        Ok(())
    }

    fn names(&self, _value: &Bytes) -> Option<Vec<u8>> {
        None
    }

    fn shown(&self, _value: &Bytes) -> Option<serde_json::Value> {
        None
    }

    fn missing(&self, _value: &[u8]) -> Option<u32> {
        None
    }

    fn learn(&self, _id: u32, _schema: &str) -> Result<(), CodecError> {
        Ok(())
    }
}

/// Hands records that stand under another key on to the same under the key of their instance.
pub(super) struct Rekey<E, K> {
    /// The saga's name.
    pub(super) saga: Arc<str>,
    pub(super) key: fn(&E) -> K,
}

#[async_trait(?Send)]
impl<E: Event, K: Into<Vec<u8>> + 'static> Handler<E> for Rekey<E, K> {
    async fn handle(&self, event: &E, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        cx.hand_on(&self.saga, &(self.key)(event).into())
    }
}
