//! Emissions: events on their way out with the unit.

use crate::codec::CodecError;
use crate::context::Context;
use crate::emitted::{Stamp, check_key};
use crate::event::Event;
use crate::handler::HandlerError;
use crate::headers::{self, Headers};
use crate::id::{EventId, IdBase};
use crate::outputs::Address;
use crate::partitioner::partition_for;
use crate::unit::Unit;

impl Context<'_> {
    /// Emits an event. It becomes visible if and only if the unit commits. An event type that the service does not declare
    /// with `emits` fails the attempt for good, and so does a key that is longer than [`KEY_LIMIT`](crate::limits::KEY_LIMIT), and an
    /// event that is larger than its topic takes, where the broker tells.
    #[expect(clippy::needless_pass_by_value, reason = "an event that is emitted is done with, and callers read better")]
    pub fn emit<E: Event>(&mut self, event: E) {
        if let Err(error) = self.unit.emit(&event, Said::Event) {
            self.fail(error);
        }
    }

    /// Writes a record of the handler's own making to a topic declared with `emits_to`. Nothing is added to its headers.
    /// It fails as [`Context::emit`] does.
    pub fn emit_raw(&mut self, topic: &str, key: Option<&[u8]>, headers: &Headers, value: Option<&[u8]>) {
        if let Err(error) = check_key(key) {
            return self.fail(HandlerError::permanent(format!("a record for {topic} cannot be written: {error}")));
        }
        let declared = self.unit.home.env.service.output_topics.iter().position(|known| **known == *topic);
        if let Some(place) = declared {
            let address = self.unit.address(u16::try_from(place).expect("checked by the builder"), key);
            let before = self.unit.outputs.bytes();
            self.unit.outputs.push_raw(address, key, headers, value);
            if let Err(error) = self.unit.check_size(address.topic, before) {
                self.fail(HandlerError::permanent(format!("a record for {topic} cannot be written: {error}")));
            }
        } else {
            let service = &self.unit.home.env.service.name;
            let message = format!("topic {topic} is not declared; add .emits_to({topic:?}) to service {service}");
            self.fail(HandlerError::permanent(message));
        }
    }
}

/// As what an event is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Event,
    /// A command whose reply comes back to this key.
    Request,
    /// The reply to this record, if it is asked for one.
    Reply,
}

/// What an event's headers say of where it comes from.
pub(super) struct Lineage<'a> {
    correlation: &'a [u8],
    cause: &'a [u8],
    trace: Option<&'a [u8]>,
}

impl<'a> Lineage<'a> {
    /// Of an event that is caused by the one with the id `cause`. What begins with that one has its id in common.
    pub(super) fn of(correlation: Option<&'a [u8]>, cause: &'a [u8], trace: Option<&'a [u8]>) -> Self {
        Self { correlation: correlation.unwrap_or(cause), cause, trace }
    }

    pub(super) fn write(&self, block: &mut Vec<u8>) {
        headers::write(block, headers::CORRELATION_ID, Some(self.correlation));
        headers::write(block, headers::CAUSATION_ID, Some(self.cause));
        if let Some(trace) = self.trace {
            headers::write(block, headers::TRACE_PARENT, Some(trace));
        }
    }
}

impl Unit {
    /// The id of this unit's output number `index`.
    pub(crate) fn id(&mut self, index: u32) -> EventId {
        EventId::derive(self.id_base(), index)
    }

    /// 64 random bits that follow from the unit and from how many it drew before.
    pub(crate) fn draw(&mut self) -> u64 {
        self.draws += 1;
        self.id_base().draw(self.draws)
    }

    /// What everything that is derived from this unit shares; hashed when it is first asked for.
    pub(crate) fn id_base(&mut self) -> IdBase {
        if let Some(base) = self.id_base {
            return base;
        }
        let base = self.named_base().unwrap_or_else(|| {
            let [source, id] = self.record.headers.get_all([headers::SOURCE, headers::ID]);
            self.derived_base(source, id)
        });
        *self.id_base.insert(base)
    }

    /// The base that follows from the id that the event itself names.
    fn named_base(&self) -> Option<IdBase> {
        self.home.env.service.named_base(self.way, &self.record)
    }

    /// What stands for the event in the inbox; nothing where nothing names it, so that there is no copy of it either.
    pub(crate) fn event(&mut self) -> Option<u128> {
        if let Some(base) = self.named_base() {
            return Some(self.id_base.insert(base).event());
        }
        self.record.headers.get(headers::ID)?;
        Some(self.id_base().event())
    }

    /// The base that follows from what the record's headers say.
    fn derived_base(&self, source: Option<&[u8]>, id: Option<&[u8]>) -> IdBase {
        self.registered().ids.derived(source, id, || self.own_id())
    }

    /// The id of a record whose headers name none: the topic's own id, the partition and the offset.
    fn own_id(&self) -> String {
        if let Some(known) = &self.own_id {
            return known.clone();
        }
        let topic = self.home.env.topic_id(&self.origin.topic);
        format!("{topic}/{}/{}", self.origin.partition, self.record.offset)
    }

    /// What stands for the record's id, where its headers name none; else nothing.
    pub(crate) fn derived_own_id(&self) -> String {
        if self.record.headers.get(headers::ID).is_some() { String::new() } else { self.own_id() }
    }

    pub(super) fn address(&self, topic: u16, key: Option<&[u8]>) -> Address {
        let partitions = self.home.env.output_topics[usize::from(topic)].partitions;
        let partition = match key {
            Some(key) => partition_for(key, partitions),
            // No key, no order: outputs without one stay spread as their inputs are.
            None => self.home.shard % partitions,
        };
        Address { topic, partition, timestamp: self.now }
    }

    /// Whether the topic takes a record as large as what was appended since the outputs had `before` bytes.
    pub(crate) fn check_size(&self, topic: u16, before: usize) -> Result<(), CodecError> {
        self.home.env.fits(topic, self.outputs.bytes() - before)
    }

    /// Emits an event, and answers its id.
    pub(super) fn emit<E: Event>(&mut self, event: &E, said: Said) -> Result<EventId, HandlerError> {
        let env = std::rc::Rc::clone(&self.home.env);
        let Some((emitted, topic)) = env.service.emitted::<E>() else {
            let message = format!(
                "event {} is not declared; add .emits::<{}>() to service {}",
                E::NAME,
                std::any::type_name::<E>(),
                env.service.name
            );
            return Err(HandlerError::permanent(message));
        };
        let wanted = [headers::SOURCE, headers::ID, headers::CORRELATION_ID, headers::TRACE_PARENT];
        let [source, id_header, correlation, trace] = self.record.headers.get_all(wanted);
        let base = self.id_base.unwrap_or_else(|| self.derived_base(source, id_header));
        self.id_base = Some(base);
        let place = u32::try_from(self.outputs.len()).expect("fewer than 2^32 outputs of one unit");
        let id = EventId::derive(base, place);
        let asker = if said == Said::Reply {
            self.record.headers.get_all([headers::REPLY_TO, headers::REPLY_KEY])
        } else {
            [None; 2]
        };
        let key = match asker {
            [Some(_), Some(key)] => Some(std::borrow::Cow::Borrowed(key)),
            _ => event.key(),
        };
        let address = self.address(topic, key.as_deref());
        let own_id;
        let cause = if let Some(id) = id_header {
            id
        } else {
            own_id = self.own_id();
            own_id.as_bytes()
        };
        let lineage = Lineage::of(correlation, cause, trace);
        let stamp = Stamp { id: &id.to_text(), time: &env.time_text(self.now), key: key.as_deref() };
        let before = self.outputs.bytes();
        let own = if said == Said::Request { Some((self.asker(), self.record.key.clone())) } else { None };
        let headers = |block: &mut Vec<u8>| {
            lineage.write(block);
            if let Some((asker, key)) = &own {
                headers::write(block, headers::REPLY_TO, Some(asker.as_bytes()));
                headers::write(block, headers::REPLY_KEY, key.as_deref());
            } else if let [Some(asker), Some(_)] = asker {
                headers::write(block, headers::REPLY_TO, Some(asker));
                headers::write(block, headers::IN_REPLY_TO, Some(cause));
            }
        };
        let written = emitted.write(event, stamp, address, headers, &mut self.outputs);
        written
            .and_then(|()| self.check_size(topic, before))
            .map(|()| id)
            .map_err(|error| HandlerError::permanent(format!("event {} cannot be written: {error}", E::NAME)))
    }
}
