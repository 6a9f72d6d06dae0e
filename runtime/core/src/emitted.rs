//! An event type on its way out: what services and publishers share of writing its records.

use std::any::{Any, TypeId};

use bytes::Bytes;

use crate::code::{Code, Coded};
use crate::codec::{Codec, CodecError};
use crate::event::Event;
use crate::headers;
use crate::limits::KEY_LIMIT;
use crate::outputs::{Address, Outputs};
use crate::ports::Schemas;

/// The version of `CloudEvents` that our headers follow.
const SPEC_VERSION: &[u8] = b"1.0";

/// An event type that a service or a publisher writes, its type forgotten.
pub(crate) struct Emitted {
    type_id: TypeId,
    /// The event type's name.
    pub(crate) event: &'static str,
    /// The version of the schema that is written.
    pub(crate) version: u32,
    /// What the codec calls what it writes.
    pub(crate) content_type: &'static str,
    /// The codec, of the event's own codec type.
    codec: Box<dyn Writer>,
    /// The headers that are the same for all of them, encoded.
    headers: Vec<u8>,
}

/// A codec of which only the type is forgotten, for whoever knows it to find again.
trait Writer: Any + Send + Sync {
    fn schema(&self) -> Option<&str>;
    fn name_schema(&self, id: u32);
    fn shown(&self, value: &Bytes) -> Option<serde_json::Value>;
}

/// The codec of events of type `E`.
struct CodecOf<E: Event>(E::Codec);

impl<E: Event> Writer for CodecOf<E> {
    fn schema(&self) -> Option<&str> {
        self.0.schema()
    }

    fn name_schema(&self, id: u32) {
        self.0.name_schema(id);
    }

    fn shown(&self, value: &Bytes) -> Option<serde_json::Value> {
        self.0.shown(value)
    }
}

/// What the headers of one event say beside its type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp<'a> {
    /// The event's id.
    pub(crate) id: &'a [u8],
    /// When it was emitted, in RFC 3339.
    pub(crate) time: &'a str,
    /// The record's key.
    pub(crate) key: Option<&'a [u8]>,
}

/// Refuses a key that would be too long for the state of whoever reads the record.
pub(crate) fn check_key(key: Option<&[u8]>) -> Result<(), CodecError> {
    let length = key.map_or(0, <[u8]>::len);
    if length <= KEY_LIMIT {
        return Ok(());
    }
    Err(CodecError(format!("its key has {length} bytes, and {KEY_LIMIT} is the limit")))
}

/// Refuses an event that is made for timers alone.
pub(crate) fn has_topic<E: Event>() -> Result<(), Coded> {
    let message = || format!("event {} names no topic: it can be scheduled, and neither emitted nor read", E::NAME);
    if E::TOPIC.is_empty() { Err(Coded::new(Code::BAD_SERVICE, message())) } else { Ok(()) }
}

impl Emitted {
    /// Opens the codec of `E`, whose events go to its topic; they will be signed with `source`.
    pub(crate) fn to_topic<E: Event>(source: &str) -> Result<Self, Coded> {
        has_topic::<E>()?;
        Self::open::<E>(source)
    }

    /// Opens the codec of `E`; the events will be signed with `source`.
    pub(crate) fn open<E: Event>(source: &str) -> Result<Self, Coded> {
        let mut block = Vec::new();
        headers::write(&mut block, headers::TYPE, Some(E::NAME.as_bytes()));
        headers::write(&mut block, headers::SPEC_VERSION, Some(SPEC_VERSION));
        headers::write(&mut block, headers::SOURCE, Some(source.as_bytes()));
        headers::write(&mut block, headers::CONTENT_TYPE, Some(E::Codec::CONTENT_TYPE.as_bytes()));
        let codec = Box::new(CodecOf::<E>(E::Codec::open()?));
        Ok(Self {
            type_id: TypeId::of::<E>(),
            event: E::NAME,
            version: E::VERSION,
            content_type: E::Codec::CONTENT_TYPE,
            codec,
            headers: block,
        })
    }

    /// Whether it is the type `E`.
    pub(crate) fn is<E: Event>(&self) -> bool {
        self.type_id == TypeId::of::<E>()
    }

    /// A value of its as people read it, if it can be shown so.
    pub(crate) fn shown(&self, value: &Bytes) -> Option<serde_json::Value> {
        self.codec.shown(value)
    }

    /// Looks up under which id the schema of what is written to this topic is registered; from then on, records name it.
    pub(crate) async fn find_id(&self, topic: &str, schemas: &dyn Schemas) -> Result<(), Coded> {
        let Some(schema) = self.codec.schema() else { return Ok(()) };
        let id = schemas.id(topic, schema).await.map_err(|Coded { code, message }| {
            Coded::new(code, format!("event {} version {}: {message}", self.event, self.version))
        })?;
        self.codec.name_schema(id);
        Ok(())
    }

    /// Appends a record of an event of the type that this was opened for, with `more` headers behind the usual ones.
    pub(crate) fn write<E: Event>(
        &self,
        event: &E,
        stamp: Stamp<'_>,
        address: Address,
        more: impl FnOnce(&mut Vec<u8>),
        into: &mut Outputs,
    ) -> Result<(), CodecError> {
        check_key(stamp.key)?;
        let codec: &dyn Any = &*self.codec;
        let CodecOf(codec) = codec.downcast_ref::<CodecOf<E>>().expect("opened for this event");
        let write_headers = |block: &mut Vec<u8>| {
            block.extend_from_slice(&self.headers);
            headers::write(block, headers::ID, Some(stamp.id));
            headers::write(block, headers::TIME, Some(stamp.time.as_bytes()));
            if let Some(text) = stamp.key.filter(|key| std::str::from_utf8(key).is_ok()) {
                headers::write(block, headers::PARTITION_KEY, Some(text));
            }
            more(block);
        };
        into.push(address, stamp.key, write_headers, |value| codec.encode(event, value).map(|()| true))
    }
}
