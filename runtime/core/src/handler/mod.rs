//! Handlers: typed outside, erased inside.

mod error;
mod route;

use async_trait::async_trait;

use crate::context::Context;
use crate::event::Event;

pub use error::{Class, HandlerError};
pub(crate) use route::{Failure, Reader, Reads, Route, TypedRoute};

/// A named owner of state that reacts to events of type `E`. A type may handle several event types, by one impl for each;
/// they share the handler's state.
///
/// Contract: everything a handler does to the outside goes through the [`Context`], and so happens once, if and only if the
/// unit commits. Time, chance and ids come from the context too, so that the same record meets the same decision again. A
/// failed attempt leaves no trace; a call to the outside made directly may happen more than once.
///
/// Handlers are shared by all workers; their futures stay on the worker's thread and need not be `Send`. A handler must not
/// block its thread: [`Context::blocking`] takes work that does.
///
/// A plain async function of an event and a context is a handler too; the guide, `docs/GUIDE.md`, shows both.
#[async_trait(?Send)]
pub trait Handler<E: Event>: Send + Sync + 'static {
    /// Handles one event.
    async fn handle(&self, event: &E, cx: &mut Context<'_>) -> Result<(), HandlerError>;
}

#[async_trait(?Send)]
impl<E, F> Handler<E> for F
where
    E: Event,
    F: AsyncFn(&E, &mut Context<'_>) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    async fn handle(&self, event: &E, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self(event, cx).await
    }
}
