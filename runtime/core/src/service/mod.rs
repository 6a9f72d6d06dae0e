//! Services: what the author declares, checked once and then only read.

mod builder;
pub(crate) mod declared;
mod description;
mod taken;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::code::Coded;
use crate::codec::CodecError;
use crate::emitted::Emitted;
use crate::event::Event;
use crate::failure::Policies;
use crate::handler::Route;
use crate::headers::{self, Headers};
use crate::id::IdScope;
use crate::lane::LaneId;
use crate::layer::Layer;
use crate::letters::Compatibility;
use crate::limits::Limits;
use crate::ports::{Schemas, Start};
use crate::record::{Position, Record};
use crate::saga::{About, Graph};
use crate::state::{StateId, own_name};

pub use builder::ServiceBuilder;
pub use declared::HandlerBuilder;
pub use description::EventInfo;
pub use taken::Taken;

/// A set of handlers that consume as one group, with a stable name. Shared by all its workers.
pub struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) handlers: Vec<Registered>,
    pub(crate) inputs: Vec<Input>,
    /// The event types that handlers may emit, each with its topic's place among the output topics.
    pub(crate) emits: Vec<(Emitted, u16)>,
    pub(crate) output_topics: Arc<[Arc<str>]>,
    /// What handlers may need from outside, by the names that they declare.
    pub(crate) dependencies: Arc<[Arc<str>]>,
    /// What stands for a handler where a record has none.
    unhandled: Registered,
    /// Which events handlers may schedule, and how they come back: as if from an input that is no topic.
    pub(crate) timers: Input,
    /// How those events are written.
    pub(crate) scheduled: Vec<Emitted>,
    /// The place of the internal topic among the inputs.
    pub(crate) internal: usize,
    /// The place of the dead letters' topic among the output topics.
    pub(crate) dead_letters: u16,
    /// The place of the operations' topic among the output topics.
    pub(crate) operations: u16,
    /// The place of the journal's topic among the output topics, if there is a journal.
    pub(crate) journal: Option<u16>,
    /// Which other headers dead letters carry.
    pub(crate) letter_headers: Compatibility,
    pub(crate) limits: Limits,
    /// Where a partition begins of which the group has done nothing.
    pub(crate) start: Start,
}

/// A handler with everything that was declared for it.
pub(crate) struct Registered {
    pub(crate) name: Arc<str>,
    /// What the ids of its outputs share.
    pub(crate) ids: IdScope,
    /// What is known of it, if it is a saga.
    pub(crate) saga: Option<About>,
    /// One lane for the whole partition instead of one for each key.
    pub(crate) in_order: bool,
    /// Whether copies of events that had their effects have none.
    pub(crate) inbox: bool,
    pub(crate) timeout: Duration,
    pub(crate) policies: Policies,
    /// The places of the dependencies that it needs.
    pub(crate) needs: Vec<usize>,
    pub(crate) layers: Vec<Arc<dyn Layer>>,
}

/// What to do with a record of an event type that the service does not handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// It is an error: somebody sends what nobody expected. The default.
    #[default]
    Reject,
    /// It is somebody else's: done without effects.
    Ignore,
}

/// An input topic and what its records become.
pub(crate) struct Input {
    pub(crate) topic: Arc<str>,
    pub(crate) routes: Vec<RouteEntry>,
    pub(crate) unknown: Unknown,
}

impl Input {
    /// An input of which nothing is taken yet.
    fn new(topic: Arc<str>) -> Self {
        Self { topic, routes: Vec::new(), unknown: Unknown::default() }
    }
}

/// One event type of an input topic.
pub(crate) struct RouteEntry {
    pub(crate) event: &'static str,
    pub(crate) version: u32,
    pub(crate) content_type: &'static str,
    pub(crate) handler: usize,
    pub(crate) route: Box<dyn Route>,
}

/// Who signs what a service emits.
pub(crate) fn source(service: &str) -> String {
    format!("/tidemill/{service}")
}

/// A record's way: the place of its input and of its route there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) input: usize,
    pub(crate) route: usize,
}

impl Way {
    /// The place of the route of a record that no handler takes.
    pub(crate) const NONE: usize = usize::MAX;
    /// The place of timers among the inputs.
    pub(crate) const TIMERS: usize = usize::MAX - 1;
    /// Of a record that no handler takes.
    pub(crate) const NOWHERE: Self = Self { input: Self::NONE, route: Self::NONE };
}

/// The place of what stands for a handler where there is none.
const UNHANDLED: usize = usize::MAX - 1;

impl Service {
    /// Begins the declaration of a service. The name stands in group names, state and ids: choose it once.
    pub fn builder(name: impl Into<Arc<str>>) -> ServiceBuilder {
        ServiceBuilder::new(name.into())
    }

    /// The service's name, which is its group's name too.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The input topics.
    pub fn input_topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.inputs.iter().map(|input| &input.topic)
    }

    /// The topics that handlers may emit to.
    pub fn output_topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.output_topics.iter()
    }

    /// The topics that are the service's own: dead letters, commands, what was done to it, and its journal, if it has one; each with how
    /// many partitions it has, where that is not as many as the inputs have.
    pub fn own_topics(&self) -> impl Iterator<Item = (&Arc<str>, Option<u32>)> {
        let output = |place: u16| &self.output_topics[usize::from(place)];
        let always = [
            (output(self.dead_letters), None),
            (&self.inputs[self.internal].topic, None),
            (output(self.operations), Some(1)),
        ];
        always.into_iter().chain(self.journal.map(|journal| (output(journal), None)))
    }

    /// How long an attempt of any of its handlers may take, at the most.
    pub fn longest_timeout(&self) -> Duration {
        self.handlers.iter().map(|handler| handler.timeout).max().unwrap_or_default()
    }

    /// The names of the handlers, in the order of their declaration.
    pub fn handler_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.handlers.iter().map(|handler| &handler.name)
    }

    /// Those that are sagas: their names, and where events lead in them.
    pub fn sagas(&self) -> impl Iterator<Item = (&Arc<str>, &Graph)> {
        self.handlers.iter().filter_map(|handler| Some((&handler.name, &handler.saga.as_ref()?.graph)))
    }

    /// Whether timers fire for a handler of this name.
    pub fn has_timers(&self, handler: &str) -> bool {
        let place = self.place_of(handler);
        self.timers.routes.iter().any(|route| Some(route.handler) == place)
    }

    /// The names of the event types that handlers may emit.
    pub fn emitted_events(&self) -> impl Iterator<Item = &'static str> {
        self.emits.iter().map(|(emitted, _)| emitted.event)
    }

    /// Looks up the ids of the schemas that this service writes: from then on, its records name them. Without it, records are
    /// written as they are where there is no registry.
    pub async fn find_schema_ids(&self, schemas: &dyn Schemas) -> Result<(), Coded> {
        for (emitted, topic) in &self.emits {
            emitted.find_id(&self.output_topics[usize::from(*topic)], schemas).await?;
        }
        Ok(())
    }

    /// The bounds of this service's workers.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The same service with other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The way of a record whose type header says `event`; a record without one is the topic's only event, where there is
    /// only one.
    pub(crate) fn way(&self, input: usize, event: Option<&[u8]>) -> Option<Way> {
        let routes = &self.inputs[input].routes;
        let route = match event {
            Some(event) => routes.iter().position(|route| route.event.as_bytes() == event)?,
            None if routes.len() == 1 => 0,
            None => return None,
        };
        Some(Way { input, route })
    }

    /// The way of a record that came from this topic, or from a timer of this handler, or was handed on to it.
    pub(crate) fn way_from(&self, topic: &str, headers: &Headers, handler: &str) -> Way {
        let event = headers.get(headers::TYPE);
        if *self.timers.topic == *topic {
            return self.way_to(Way::TIMERS, event, handler);
        }
        match self.inputs.iter().position(|input| *input.topic == *topic) {
            Some(input) if input == self.internal => {
                // One that no handler took says itself for whom it is.
                let handler = if handler.is_empty() { headers.text(headers::HANDLER).unwrap_or("") } else { handler };
                self.way_to(input, event, handler)
            }
            input => input.and_then(|input| self.way(input, event)).unwrap_or(Way::NOWHERE),
        }
    }

    /// The way of a record of the service's own that is meant for this handler.
    pub(crate) fn way_to(&self, input: usize, event: Option<&[u8]>, handler: &str) -> Way {
        let handler = self.place_of(handler);
        let is_its = |route: &RouteEntry| Some(route.event.as_bytes()) == event && Some(route.handler) == handler;
        let route = self.input(input).routes.iter().position(is_its);
        route.map_or(Way::NOWHERE, |route| Way { input, route })
    }

    /// Whether a record of an input topic, or of a timer of this handler, can be read by the handler of its type: what an operator wants
    /// handled again is looked at before. The error says what is wrong with it. A schema that the value names by an id of a registry is
    /// asked for there.
    pub async fn check_value(
        &self,
        topic: &str,
        handler: &str,
        record: &Record,
        schemas: Option<&dyn Schemas>,
    ) -> Result<(), CodecError> {
        let way = self.way_from(topic, &record.headers, handler);
        if way == Way::NOWHERE {
            return Err(CodecError(format!("no handler of service {} takes its type from topic {topic}", self.name)));
        }
        let Some(value) = &record.value else { return Err(CodecError("it has no value".to_owned())) };
        let reader = self.route(way).route.reader();
        if let (Some(id), Some(schemas)) = (reader.missing(value), schemas) {
            let schema = schemas.schema(id).await.map_err(|cause| CodecError(cause.to_string()))?;
            reader.learn(id, &schema)?;
        }
        reader.check(value)
    }

    /// A value as people read it, of a record of this topic with this event type; `None` where nobody here can show it. It is for tools alone.
    pub fn shown(&self, topic: &str, event: Option<&str>, value: &Bytes) -> Option<serde_json::Value> {
        let is_emitted = |(emitted, _): &&(Emitted, u16)| Some(emitted.event) == event;
        if let Some((emitted, _)) = self.emits.iter().find(is_emitted) {
            return emitted.shown(value);
        }
        let inputs = self.inputs.iter().chain([&self.timers]).filter(|input| *input.topic == *topic);
        let mut routes = inputs.flat_map(|input| {
            let is_only = input.routes.len() == 1;
            input.routes.iter().filter(move |route| event.map_or(is_only, |event| event == route.event))
        });
        routes.next().and_then(|route| route.route.reader().shown(value))
    }

    /// Whether any handler takes all of a partition in order, so that a lane has records of more than one key.
    pub fn is_any_in_order(&self) -> bool {
        self.handlers.iter().any(|handler| handler.in_order)
    }

    /// The handler of a way.
    pub(crate) fn handler_of(&self, way: Way) -> usize {
        if way.route == Way::NONE { UNHANDLED } else { self.route(way).handler }
    }

    /// A handler, or what stands for one.
    pub(crate) fn registered(&self, handler: usize) -> &Registered {
        self.handlers.get(handler).unwrap_or(&self.unhandled)
    }

    /// The name that the state of a handler stands under, or that of the runtime's own.
    pub(crate) fn scope_name(&self, place: usize) -> &str {
        own_name(place).unwrap_or_else(|| &self.registered(place).name)
    }

    /// The place of a handler; the empty name is that of none.
    pub(crate) fn place_of(&self, handler: &str) -> Option<usize> {
        let place = self.handlers.iter().position(|known| *known.name == *handler);
        place.or_else(|| handler.is_empty().then_some(UNHANDLED))
    }

    /// The lane of a record, which came from `position`. One without a key has its own.
    pub(crate) fn lane(&self, handler: usize, record: &Record, position: &Position) -> LaneId {
        match &record.key {
            Some(key) => self.lane_of(handler, key.clone()),
            None if self.registered(handler).in_order => LaneId::Partition(handler),
            None => LaneId::Alone(handler, position.clone()),
        }
    }

    /// The lane of a key of a handler.
    pub(crate) fn lane_of(&self, handler: usize, key: Bytes) -> LaneId {
        if self.registered(handler).in_order {
            LaneId::Partition(handler)
        } else {
            LaneId::Key(StateId { handler, key })
        }
    }

    fn input(&self, input: usize) -> &Input {
        if input == Way::TIMERS { &self.timers } else { &self.inputs[input] }
    }

    pub(crate) fn route(&self, way: Way) -> &RouteEntry {
        &self.input(way.input).routes[way.route]
    }

    /// The same where a handler takes the record.
    pub(crate) fn routed(&self, way: Way) -> Option<&RouteEntry> {
        (way.route != Way::NONE).then(|| self.route(way))
    }

    /// How events of type `E` are written for a timer of a handler; `None` where it does not declare them.
    pub(crate) fn scheduled<E: Event>(&self, handler: usize) -> Option<&Emitted> {
        let is_its = self.timers.routes.iter().any(|route| route.event == E::NAME && route.handler == handler);
        self.scheduled.iter().find(|emitted| is_its && emitted.is::<E>())
    }

    /// How events of type `E` are written, and the place of their topic.
    pub(crate) fn emitted<E: Event>(&self) -> Option<(&Emitted, u16)> {
        self.emits.iter().find(|(emitted, _)| emitted.is::<E>()).map(|(emitted, topic)| (emitted, *topic))
    }
}

#[cfg(test)]
mod tests;
