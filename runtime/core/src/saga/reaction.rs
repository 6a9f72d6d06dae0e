//! Steps with their types forgotten.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::context::Context;
use crate::event::Event;
use crate::handler::{Failure, HandlerError, Reads};
use crate::saga::{Begin, Compensation, Next, State, Step, Stored, Undo};
use crate::state::{Unreadable, decode};

/// What an attempt at a step comes to.
type Attempt<'a, T> = LocalBoxFuture<'a, Result<T, Failure>>;

/// A state as it is stored.
#[derive(Clone, Copy)]
pub(super) struct StoredState<'a> {
    pub(super) version: u32,
    pub(super) data: &'a [u8],
}

impl StoredState<'_> {
    fn read<S: State>(self) -> Result<S, Unreadable> {
        if self.version == S::VERSION { decode(self.data) } else { S::migrate(self.version, Stored(self.data)) }
    }
}

/// Whether what is stored of a state can be read.
pub(super) type Looks = fn(StoredState<'_>) -> Result<(), Unreadable>;

/// Looks at what is stored of state `S`.
pub(super) fn looks<S: State>(stored: StoredState<'_>) -> Result<(), Unreadable> {
    stored.read::<S>().map(drop)
}

/// Begins an instance.
pub(super) trait Begins<G>: Send + Sync {
    fn begin<'a>(&'a self, saga: &'a G, value: &'a Bytes, cx: &'a mut Context<'_>) -> Attempt<'a, Next>;
}

impl<G: Begin<E>, E: Event> Begins<G> for Arc<Reads<E>> {
    fn begin<'a>(&'a self, saga: &'a G, value: &'a Bytes, cx: &'a mut Context<'_>) -> Attempt<'a, Next> {
        Box::pin(async move { saga.begin(&self.read(value)?, cx).await.map_err(Failure::Handler) })
    }
}

/// Makes a step.
pub(super) trait Steps<G>: Send + Sync {
    fn step<'a>(
        &'a self,
        saga: &'a G,
        state: StoredState<'a>,
        value: &'a Bytes,
        cx: &'a mut Context<'_>,
    ) -> Attempt<'a, Next>;
}

/// The step of an event in state `S`.
pub(super) struct StepOf<S, E: Event>(pub(super) Arc<Reads<E>>, pub(super) PhantomData<fn() -> S>);

impl<G: Step<S, E>, S: State, E: Event> Steps<G> for StepOf<S, E> {
    fn step<'a>(
        &'a self,
        saga: &'a G,
        state: StoredState<'a>,
        value: &'a Bytes,
        cx: &'a mut Context<'_>,
    ) -> Attempt<'a, Next> {
        Box::pin(async move {
            let event = self.0.read(value)?;
            let state = state.read().map_err(|error| unreadable(S::NAME, &error, cx))?;
            saga.step(state, &event, cx).await.map_err(Failure::Handler)
        })
    }
}

/// Undoes something.
pub(super) trait Undoes<G>: Send + Sync {
    fn undo<'a>(&'a self, saga: &'a G, data: &'a [u8], cx: &'a mut Context<'_>) -> Attempt<'a, ()>;

    /// Whether what is stored can be read.
    fn looks(&self, data: &[u8]) -> Result<(), Unreadable>;
}

/// The undoing of compensations of type `C`.
pub(super) struct UndoOf<C>(pub(super) PhantomData<fn() -> C>);

impl<G: Undo<C>, C: Compensation> Undoes<G> for UndoOf<C> {
    fn undo<'a>(&'a self, saga: &'a G, data: &'a [u8], cx: &'a mut Context<'_>) -> Attempt<'a, ()> {
        Box::pin(async move {
            let compensation = decode(data).map_err(|error| unreadable(C::NAME, &error, cx))?;
            saga.undo(compensation, cx).await.map_err(Failure::Handler)
        })
    }

    fn looks(&self, data: &[u8]) -> Result<(), Unreadable> {
        decode::<C>(data).map(drop)
    }
}

/// What is stored of an instance cannot be read: going on would overwrite it.
fn unreadable(what: &str, error: &Unreadable, cx: &Context<'_>) -> Failure {
    Failure::Handler(HandlerError::fatal(cx.cannot_read(what, error)))
}
