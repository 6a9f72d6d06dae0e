//! What a record that comes in is to its shard.

use crate::codec::CodecError;
use crate::handler::Failure;
use crate::headers;
use crate::internal::{COMMAND, Command, Wish};
use crate::lane::LaneId;
use crate::record::{Record, TopicPartition};
use crate::service::{Unknown, Way};
use crate::source::Source;
use crate::unit::Step;
use crate::worker::{Condemned, Env};

/// What a record is.
pub(super) enum Incoming {
    /// Nobody's concern.
    Ignored,
    /// Somebody's event, or one that no handler takes.
    Event(Way),
    /// An operator's command, and the record that it is about, with its way.
    Command(Box<Command>, Record, Way),
}

/// A record that a lane will handle.
pub(super) struct Waiting {
    /// The source it came from, and its offset there.
    pub(super) source: usize,
    pub(super) offset: u64,
    pub(super) way: Way,
    /// The record, or the one that a command is about.
    pub(super) record: Record,
    pub(super) command: Option<Box<Command>>,
}

/// Looks at the next record of a source.
pub(super) fn look_at(env: &Env, source: &Source, record: &Record) -> Incoming {
    let service = &env.service;
    let event = record.headers.get(headers::TYPE);
    if source.input == service.internal {
        let way_to = |handler: &str| service.way_to(source.input, event, handler);
        return match Command::read(record) {
            // A saga does by itself what is wanted of its instances.
            Some(Command { wish: Wish::Saga(_), target, .. }) if way_to(&target.handler) != Way::NOWHERE => {
                Incoming::Event(way_to(&target.handler))
            }
            Some(command) => {
                let target = command.target.record();
                let way = service.way_from(&command.target.origin().topic, &target.headers, &command.target.handler);
                Incoming::Command(Box::new(command), target, way)
            }
            None => match record.headers.text(headers::HANDLER) {
                Some(handler) => Incoming::Event(way_to(handler)),
                // A newer build's, perhaps: it is not lost.
                None if event == Some(COMMAND.as_bytes()) => {
                    Incoming::Event(Way { input: source.input, route: Way::NONE })
                }
                None => Incoming::Ignored,
            },
        };
    }
    match service.way(source.input, event) {
        Some(way) => Incoming::Event(way),
        None if service.inputs[source.input].unknown == Unknown::Ignore => Incoming::Ignored,
        None => Incoming::Event(Way { input: source.input, route: Way::NONE }),
    }
}

impl Incoming {
    pub(super) fn is_command(&self) -> bool {
        matches!(self, Self::Command(..))
    }

    /// The lane of the record; one without a key has none, unless its handler takes all in order.
    pub(super) fn lane(&self, env: &Env, source: &Source, record: &Record) -> Option<LaneId> {
        let service = &env.service;
        match self {
            Self::Ignored => None,
            Self::Event(way) => {
                let handler = service.handler_of(*way);
                if record.key.is_none() && !service.registered(handler).in_order {
                    return None;
                }
                Some(service.lane(handler, record, &source.partition.at(record.offset)))
            }
            Self::Command(command, target, way) => {
                Some(service.lane(service.handler_of(*way), target, &command.target.position()))
            }
        }
    }
}

/// What a handler is to do with a record that came from `origin`, unless it has failed already.
pub(super) fn step_of(env: &Env, way: Way, origin: &TopicPartition, record: &Record) -> Step {
    if way.route == Way::NONE {
        return Step::GiveUp(Failure::Undecodable(unhandled(env, origin, record)));
    }
    let condemned = env.condemned.borrow();
    if condemned.is_empty() {
        return Step::Handle;
    }
    match condemned.get(&origin.at(record.offset)) {
        None => Step::Handle,
        Some(Condemned::Refused(cause)) => Step::GiveUp(Failure::Refused(cause.clone())),
        Some(Condemned::Letter(cause)) => Step::Hold(Failure::Refused(cause.clone())),
        Some(Condemned::Crashed) => Step::GiveUp(Failure::Crashed),
    }
}

/// Why no handler takes a record.
fn unhandled(env: &Env, origin: &TopicPartition, record: &Record) -> CodecError {
    let what = record
        .headers
        .get(headers::TYPE)
        .map_or("no event type".into(), |event| format!("the event type {:?}", String::from_utf8_lossy(event)));
    let (position, service, topic) = (origin.at(record.offset), &env.service.name, &origin.topic);
    CodecError(format!(
        "{position} has {what}, which service {service} does not handle; handle it or declare .ignore_unknown({topic:?})"
    ))
}
