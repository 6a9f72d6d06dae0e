//! What a service says of itself, for those who describe it.

use crate::internal::COMMAND;
use crate::service::{RouteEntry, Service};

/// An event type that a service takes or emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventInfo<'a> {
    /// The event type's name.
    pub event: &'static str,
    /// The version of the schema that this build writes, from 1.
    pub version: u32,
    /// The topic it is taken from or emitted to.
    pub topic: &'a str,
    /// What the `content-type` header says of its values.
    pub content_type: &'static str,
}

impl Service {
    /// The event types that a handler takes, by topic; nothing for a handler that does not exist.
    pub fn taken_by<'a>(&'a self, handler: &'a str) -> impl Iterator<Item = EventInfo<'a>> {
        let place = self.handlers.iter().position(|known| *known.name == *handler);
        self.inputs.iter().flat_map(move |input| {
            // Operators' commands are no event of the service's.
            let is_its = move |route: &&RouteEntry| Some(route.handler) == place && route.event != COMMAND;
            let routes = input.routes.iter().filter(is_its);
            routes.map(|route| EventInfo {
                event: route.event,
                version: route.version,
                topic: &input.topic,
                content_type: route.content_type,
            })
        })
    }

    /// What stands in the inbox for an event of this `ce_source` and `ce_id`, or of a type that names its own id, which this is then:
    /// by each handler whose copies are looked for.
    pub fn known_as(&self, source: &str, id: &str) -> Vec<(&str, u128)> {
        let mut all = Vec::new();
        for handler in self.handlers.iter().filter(|handler| handler.inbox) {
            let named = self.taken_by(&handler.name).map(|info| handler.ids.named(info.event, id.as_bytes()));
            let signed = handler.ids.signed(source.as_bytes(), id.as_bytes());
            all.extend(named.chain([signed]).map(|base| (&*handler.name, base.event())));
        }
        all
    }

    /// The event types that handlers may emit, in the order of their declaration.
    pub fn emits(&self) -> impl Iterator<Item = EventInfo<'_>> {
        self.emits.iter().map(|(emitted, topic)| EventInfo {
            event: emitted.event,
            version: emitted.version,
            topic: &self.output_topics[usize::from(*topic)],
            content_type: emitted.content_type,
        })
    }
}
