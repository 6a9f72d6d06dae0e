//! Layers: code around handlers, per service or per handler.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;

use crate::context::Context;
use crate::handler::{Failure, Route};

/// How one attempt ended, as a layer sees it.
pub struct AttemptError(pub(crate) Failure);

impl AttemptError {
    /// The reason in words.
    pub fn message(&self) -> String {
        match &self.0 {
            Failure::Undecodable(error) => error.to_string(),
            Failure::Handler(error) => error.to_string(),
            other => unreachable!("no layer sees {other:?}, which is found around all of them"),
        }
    }
}

impl From<crate::handler::HandlerError> for AttemptError {
    fn from(error: crate::handler::HandlerError) -> Self {
        Self(Failure::Handler(error))
    }
}

/// Code that runs around every attempt of the handlers it is put on. A layer may look, time, refuse, or add to the context;
/// to go on it calls [`Next::run`], once.
#[async_trait(?Send)]
pub trait Layer: Send + Sync + 'static {
    /// Runs one attempt.
    async fn around(&self, cx: &mut Context<'_>, next: Next<'_>) -> Result<(), AttemptError>;
}

/// What lies behind a layer: the next layer, or the handler.
pub struct Next<'a> {
    pub(crate) layers: &'a [Arc<dyn Layer>],
    pub(crate) route: &'a dyn Route,
    pub(crate) value: &'a Bytes,
}

impl<'a> Next<'a> {
    /// Goes on with the attempt.
    pub fn run<'b>(self, cx: &'b mut Context<'_>) -> LocalBoxFuture<'b, Result<(), AttemptError>>
    where
        'a: 'b,
    {
        match self.layers.split_first() {
            Some((layer, layers)) => layer.around(cx, Next { layers, ..self }),
            None => Box::pin(async move { self.route.call(self.value, cx).await.map_err(AttemptError) }),
        }
    }
}
