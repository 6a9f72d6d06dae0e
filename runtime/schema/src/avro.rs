//! Avro, straight between serde and bytes: in single-object encoding, or framed with the id of a registry.

mod framing;

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::marker::PhantomData;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
use serde_avro_fast::ser::SerializerConfig;
use tidemill_core::code::{Code, Coded};
use tidemill_core::codec::{Codec, CodecError};
use tidemill_core::event::Event;

use crate::check::{self, Purpose};
use crate::typed::{Shape, Typed};
use crate::{file, from_type};
use framing::Registered;

/// What every value begins with.
const MARKER: [u8; 2] = [0xC3, 0x01];
/// The fingerprint of the writer's schema: CRC-64-AVRO of its canonical form, the lowest byte first.
const FINGERPRINT_BYTES: usize = 8;

/// Everything known about the schemas of one event type.
struct Plan {
    event: &'static str,
    /// The newest first, which is the one that values are written in.
    versions: Vec<Version>,
    /// The text of that.
    written: Cow<'static, str>,
}

/// A schema that values of an event are read by.
struct Version {
    name: Name,
    fingerprint: [u8; FINGERPRINT_BYTES],
    schema: Schema,
}

/// What a version is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// The number of a file of the catalogue.
    File(u32),
    /// The id that a registry gave it.
    Registered(u32),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(number) => write!(f, "version {number}"),
            Self::Registered(id) => write!(f, "schema {id} of the registry"),
        }
    }
}

/// The plans made so far. An event type is opened by every service that reads or emits it, and there are as many plans as
/// event types in the program, so they live as long as it does.
static PLANS: Mutex<BTreeMap<TypeId, &'static Plan>> = Mutex::new(BTreeMap::new());

/// Writes and reads events of type `E` in Avro.
///
/// A value is `C3 01`, the fingerprint of the schema it was written in, and the fields. Every version of the schema that was
/// known when the program was built is read, field by field name: what an older writer did not know gets serde's
/// default, what the type no longer has is skipped.
///
/// With a registry, a value is `00`, the id that it gave the schema, and the fields; by what a registry holds, values of any
/// version are read that fits the type. Both forms are read, whatever is written.
pub struct Avro<E> {
    plan: &'static Plan,
    /// The id under which a registry holds the schema that is written.
    id: OnceLock<u32>,
    registered: Registered,
    marker: PhantomData<fn() -> E>,
}

impl<E: Event + Typed + Serialize + DeserializeOwned> Codec<E> for Avro<E> {
    const CONTENT_TYPE: &'static str = "application/avro";

    fn open() -> Result<Self, Coded> {
        let id = TypeId::of::<E>();
        let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = if let Some(plan) = plans.get(&id) {
            plan
        } else {
            let made: &'static Plan = Box::leak(Box::new(Plan::make::<E>()?));
            plans.insert(id, made);
            made
        };
        Ok(Self { plan, id: OnceLock::new(), registered: Registered::default(), marker: PhantomData })
    }

    fn encode(&self, event: &E, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let before = into.len();
        let version = &self.plan.versions[0];
        if let Some(id) = self.id.get() {
            into.extend_from_slice(&framing::head(*id));
        } else {
            into.extend_from_slice(&MARKER);
            into.extend_from_slice(&version.fingerprint);
        }
        let written = serde_avro_fast::to_datum(event, &mut *into, &mut SerializerConfig::new(&version.schema));
        if let Err(error) = written {
            into.truncate(before);
            return Err(self.plan.error(version, "cannot be written", &error));
        }
        Ok(())
    }

    fn decode(&self, value: &Bytes) -> Result<E, CodecError> {
        self.read(value)
    }

    fn shown(&self, value: &Bytes) -> Option<serde_json::Value> {
        self.read(value).ok()
    }

    fn schema(&self) -> Option<&str> {
        Some(&self.plan.written)
    }

    fn name_schema(&self, id: u32) {
        // The same schema has the same id whenever it is looked up.
        let _ = self.id.set(id);
    }

    fn missing(&self, value: &[u8]) -> Option<u32> {
        if value.first() != Some(&framing::MARKER) {
            return None;
        }
        framing::split(value).map(|(id, _)| id).filter(|id| self.registered.find(*id).is_none())
    }

    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError> {
        let version = Version::make(E::NAME, Name::Registered(id), None, schema, &E::shape(), Purpose::Read);
        self.registered.add(id, version.map_err(|cause| CodecError(cause.message))?);
        Ok(())
    }
}

impl<E> Avro<E> {
    /// Reads a value as an event, or as whatever else has its fields.
    fn read<T: DeserializeOwned>(&self, value: &Bytes) -> Result<T, CodecError> {
        let (version, fields) = match value.first() {
            Some(&framing::MARKER) => self.registered_version_of(value)?,
            _ => self.plan.version_of(value)?,
        };
        let mut config = DeserializerConfig::new(&version.schema);
        // Every item of a list takes a byte at least, so a count beyond the input's length is a lie.
        config.max_seq_size = fields.len();
        let mut state = DeserializerState::with_config(SliceRead::new(fields), config);
        let read =
            T::deserialize(state.deserializer()).map_err(|error| self.plan.error(version, "cannot be read", &error))?;
        match state.into_reader().fill_buf() {
            Ok([]) => Ok(read),
            _ => Err(self.plan.error(version, "cannot be read", &"bytes follow its last field")),
        }
    }

    /// The registered schema that a framed value was written in, and the value without its head.
    fn registered_version_of<'v>(&self, value: &'v [u8]) -> Result<(&Version, &'v [u8]), CodecError> {
        let fail = |what: String| Err(CodecError(format!("{}: {what}", self.plan.event)));
        let Some((id, fields)) = framing::split(value) else {
            return fail(format!("the value ends after {} bytes, within the id of a registered schema", value.len()));
        };
        match self.registered.find(id) {
            Some(version) => Ok((version, fields)),
            None => fail(format!("the value names schema {id} of a registry, and registry.url is not set")),
        }
    }
}

impl Plan {
    fn make<E: Event + Typed>() -> Result<Self, Coded> {
        let shape = E::shape();
        if !matches!(shape, Shape::Record(_)) {
            return Err(refused(format!("{}: {shape} is no struct with named fields", E::NAME)));
        }
        let mut versions = Vec::new();
        for file in E::SCHEMAS {
            let path = file::path(E::NAME, file.version);
            let purpose = if file.version == E::VERSION { Purpose::Written } else { Purpose::Read };
            let name = Name::File(file.version);
            versions.push(Version::make(E::NAME, name, Some(&path), file.text, &shape, purpose)?);
        }
        let newest = E::SCHEMAS.iter().max_by_key(|file| file.version);
        let written = match newest {
            Some(file) => Cow::Borrowed(file.text),
            None => Cow::Owned(made_from_type::<E>(&shape)?),
        };
        if newest.is_none() {
            let (name, place) = (Name::File(E::VERSION), Some("made from the type"));
            versions.push(Version::make(E::NAME, name, place, &written, &shape, Purpose::Written)?);
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.name));
        if versions[0].name != Name::File(E::VERSION) {
            let path = file::path(E::NAME, E::VERSION);
            return Err(refused(format!("{} is written in version {}, and {path} is missing", E::NAME, E::VERSION)));
        }
        Ok(Self { event: E::NAME, versions, written })
    }

    /// The version that a value was written in, and the value without its head.
    fn version_of<'v>(&self, value: &'v [u8]) -> Result<(&Version, &'v [u8]), CodecError> {
        let fail = |what: String| Err(CodecError(format!("{}: {what}", self.event)));
        let Some(rest) = value.strip_prefix(&MARKER) else {
            let head = &value[..value.len().min(MARKER.len())];
            return fail(format!("the value begins with {}, not with Avro's marker C3 01", Hex(head)));
        };
        let Some((fingerprint, fields)) = rest.split_first_chunk::<FINGERPRINT_BYTES>() else {
            return fail(format!("the value ends after {} bytes, within the schema's fingerprint", value.len()));
        };
        match self.versions.iter().find(|version| version.fingerprint == *fingerprint) {
            Some(version) => Ok((version, fields)),
            None => fail(format!("no version known here has the schema fingerprint {}", Hex(fingerprint))),
        }
    }

    #[cold]
    fn error(&self, version: &Version, what: &str, why: &dyn fmt::Display) -> CodecError {
        CodecError(format!("{} {} {what}: {why}", self.event, version.name))
    }
}

impl Version {
    /// Compares a schema with the type. `place` says where it stands.
    fn make(
        event: &str,
        name: Name,
        place: Option<&str>,
        text: &str,
        shape: &Shape,
        purpose: Purpose,
    ) -> Result<Self, Coded> {
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        let fail = |what: &dyn fmt::Display| refused(format!("{event} {name}{place}: {what}"));
        let schema = file::parse(text).map_err(|error| fail(&error))?;
        check::compare(shape, &schema, purpose).map_err(|misfit| fail(&misfit))?;
        if !check::is_bounded(&schema) {
            return Err(fail(&"it has an array whose items take no bytes, so a value could claim any number of them"));
        }
        let schema = schema.freeze().map_err(|error| fail(&error))?;
        Ok(Self { name, fingerprint: *schema.rabin_fingerprint(), schema })
    }
}

fn made_from_type<E: Event>(shape: &Shape) -> Result<String, Coded> {
    from_type::schema(E::NAME, shape).map_err(|error| refused(format!("{}: {error}", E::NAME)))
}

fn refused(message: String) -> Coded {
    Coded::new(Code::SCHEMA_MISMATCH, message)
}

/// Bytes for messages, such as `C3 01`.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (at, byte) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { " " };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

impl<E> fmt::Debug for Avro<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Avro({})", self.plan.event)
    }
}

#[cfg(test)]
mod tests;
