//! The declaration of one handler.

use std::sync::Arc;
use std::time::Duration;

use crate::code::Coded;
use crate::codec::Codec;
use crate::emitted::{Emitted, has_topic};
use crate::event::Event;
use crate::failure::Policies;
use crate::handler::{Handler, Route, TypedRoute};
use crate::layer::Layer;
use crate::saga::About;

/// One event type that a handler takes: where it comes from and how it gets there.
pub(crate) struct Taken {
    pub(crate) topic: Arc<str>,
    pub(crate) event: &'static str,
    pub(crate) version: u32,
    pub(crate) content_type: &'static str,
    pub(crate) route: Result<Box<dyn Route>, Coded>,
}

/// One event type that a handler may schedule: what becomes of it, and how it is written, unless the runtime does that.
pub(crate) struct Timer {
    pub(crate) taken: Taken,
    pub(crate) emitted: Option<Result<Emitted, Coded>>,
}

/// A handler as declared, its type forgotten.
pub(crate) struct Declared {
    pub(crate) name: Arc<str>,
    pub(crate) takes: Vec<Taken>,
    /// The events that it may schedule, how they are written, and what it does with them.
    pub(crate) timers: Vec<Timer>,
    /// What it takes from the service's internal topic.
    pub(crate) internal: Vec<Taken>,
    /// Whether it hands records on through the internal topic.
    pub(crate) hands_on: bool,
    /// What is known of it, if it is a saga.
    pub(crate) saga: Option<About>,
    pub(crate) in_order: bool,
    pub(crate) inbox: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) policies: Option<Policies>,
    pub(crate) needs: Vec<Arc<str>>,
    pub(crate) layers: Vec<Arc<dyn Layer>>,
}

impl Declared {
    /// A handler that takes nothing yet.
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            takes: Vec::new(),
            timers: Vec::new(),
            internal: Vec::new(),
            hands_on: false,
            saga: None,
            in_order: false,
            inbox: true,
            timeout: None,
            policies: None,
            needs: Vec::new(),
            layers: Vec::new(),
        }
    }
}

/// Declares one handler of a service.
pub struct HandlerBuilder<H> {
    handler: Arc<H>,
    /// Who signs the events that it schedules.
    source: String,
    pub(crate) declared: Declared,
}

impl<H: Send + Sync + 'static> HandlerBuilder<H> {
    pub(crate) fn new(name: Arc<str>, source: String, handler: H) -> Self {
        Self { handler: Arc::new(handler), source, declared: Declared::new(name) }
    }

    /// The handler takes events of type `E` from the event's own topic.
    pub fn on<E: Event>(self) -> Self
    where
        H: Handler<E>,
    {
        self.on_topic::<E>(E::TOPIC)
    }

    /// The handler takes events of type `E` from another topic than the event's own.
    pub fn on_topic<E: Event>(mut self, topic: impl Into<Arc<str>>) -> Self
    where
        H: Handler<E>,
    {
        let topic = topic.into();
        let goes = if topic.is_empty() { has_topic::<E>() } else { Ok(()) };
        let route = goes.and_then(|()| TypedRoute::<E, H>::open(Arc::clone(&self.handler)));
        let (version, content_type) = (E::VERSION, E::Codec::CONTENT_TYPE);
        self.declared.takes.push(Taken { topic, event: E::NAME, version, content_type, route });
        self
    }

    /// The handler may schedule events of type `E` ([`Context::schedule`](crate::context::Context::schedule)), and gets them when they
    /// are due.
    pub fn on_timer<E: Event>(mut self) -> Self
    where
        H: Handler<E>,
    {
        let taken = Taken {
            topic: "".into(),
            event: E::NAME,
            version: E::VERSION,
            content_type: E::Codec::CONTENT_TYPE,
            route: TypedRoute::<E, H>::open(Arc::clone(&self.handler)),
        };
        self.declared.timers.push(Timer { taken, emitted: Some(Emitted::open::<E>(&self.source)) });
        self
    }

    /// Handles all records of a partition in input order, one after the other, instead of one lane for each key. Needed
    /// only where outputs have to stand in the order of the inputs across keys.
    pub fn in_order(mut self) -> Self {
        self.declared.in_order = true;
        self
    }

    /// Copies of an event, which have its id and stand at other positions, have their effects too.
    pub fn without_inbox(mut self) -> Self {
        self.declared.inbox = false;
        self
    }

    /// How long one attempt may take; the service's own bound unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.declared.timeout = Some(timeout);
        self
    }

    /// What follows this handler's failures; what the service says unless set.
    pub fn failures(mut self, policies: Policies) -> Self {
        self.declared.policies = Some(policies);
        self
    }

    /// The handler needs something from outside, such as a database or another service, and answers
    /// [`HandlerError::unavailable`](crate::handler::HandlerError::unavailable) with this name when it is not there.
    pub fn needs(mut self, dependency: impl Into<Arc<str>>) -> Self {
        self.declared.needs.push(dependency.into());
        self
    }

    /// Puts a layer around this handler, inside those of the service and those put before.
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.declared.layers.push(Arc::new(layer));
        self
    }
}
