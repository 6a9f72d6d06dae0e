//! Events: what a record says, as a Rust type.

use std::borrow::Cow;

use crate::codec::Codec;

/// One version of an event's schema, as a file of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaFile {
    /// The event's version, from 1.
    pub version: u32,
    /// The text of the file.
    pub text: &'static str,
}

/// A typed, decoded record. It is derived, with its name, version, topic and key; the guide, `docs/GUIDE.md`, shows how.
///
/// Contract: the name, once used, means this event for ever; equal events have equal keys.
pub trait Event: Sized + 'static {
    /// What the `ce_type` header says, such as `shop.order-placed`. Renaming the Rust type does not change it.
    const NAME: &'static str;
    /// The version of the schema that this type writes, from 1.
    const VERSION: u32;
    /// The topic that records of this event go to.
    const TOPIC: &'static str;
    /// The schema files known when the program was built, all versions.
    const SCHEMAS: &'static [SchemaFile] = &[];

    /// Whether the event names its own id, which then stands for what the `ce_source` and `ce_id` headers say.
    const NAMES_ID: bool = false;

    /// How the event is written.
    type Codec: Codec<Self>;

    /// The record's key: records of one key keep their order. `None` asks for no order and has no state.
    fn key(&self) -> Option<Cow<'_, [u8]>>;

    /// The id by which copies of the event are known, where [`Event::NAMES_ID`] says that it names one: equal for copies, and for
    /// nothing else of this type.
    fn id(&self) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// What can stand as a key in `#[event(key = field)]`: text and bytes as they are, integers as decimal text.
pub trait EventKey {
    /// The bytes of the record key.
    fn to_key(&self) -> Cow<'_, [u8]>;
}

impl EventKey for String {
    fn to_key(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_bytes())
    }
}

impl EventKey for &str {
    fn to_key(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_bytes())
    }
}

impl EventKey for Vec<u8> {
    fn to_key(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

impl EventKey for bytes::Bytes {
    fn to_key(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

macro_rules! decimal_keys {
    ($($integer:ty),*) => {$(
        impl EventKey for $integer {
            fn to_key(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.to_string().into_bytes())
            }
        }
    )*};
}

decimal_keys!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);
