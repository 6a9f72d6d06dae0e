//! What a Rust type looks like on the wire.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use bytes::Bytes;

/// A type that can stand in an event that is written in Avro. Derive it for structs with named fields, for newtypes and for
/// enums without data; `derive(Event)` does so for the event itself.
///
/// Contract: `shape` says what serde makes of the type. The derive refuses serde attributes for which it could not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in an event that is written in Avro",
    label = "this type has no shape in Avro",
    note = "structs and enums of your own: `#[derive(Typed)]`",
    note = "Avro has signed integers of 32 and 64 bits: take `i64` instead of `u64`, `usize` or `isize`",
    note = "bytes: `#[serde(with = \"serde_bytes\")]` on a `Vec<u8>`, or `bytes::Bytes`",
    note = "events that need other types can be written in JSON: `#[event(…, codec = json)]`"
)]
pub trait Typed {
    /// The type's form.
    fn shape() -> Shape;
}

/// The form of a type, as serde writes it.
#[derive(Debug, Clone)]
pub enum Shape {
    /// True or false.
    Boolean,
    /// An integer that fits into 32 bits with a sign; holds the name of the Rust type.
    Int(&'static str),
    /// An integer that fits into 64 bits with a sign; holds the name of the Rust type.
    Long(&'static str),
    /// A floating-point number of 32 bits.
    Float,
    /// A floating-point number of 64 bits.
    Double,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// A value or none.
    Optional(Box<Shape>),
    /// Values in order.
    Array(Box<Shape>),
    /// Values by name.
    Map(Box<Shape>),
    /// Named fields.
    Record(Record),
    /// One of some names.
    Enum(Choice),
}

/// A struct with named fields.
#[derive(Debug, Clone)]
pub struct Record {
    /// The type's name in Rust, which names the record where its schema is made from the type.
    pub name: &'static str,
    /// The type's full path in Rust, which tells apart two types of one name.
    pub path: &'static str,
    /// The fields in the order in which they are written. A function, because a type may hold itself.
    pub fields: fn() -> Vec<Field>,
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Names under which it is read as well.
    pub aliases: &'static [&'static str],
    /// Whether serde fills it in where the writer did not know it.
    pub default: bool,
    /// The form of its type.
    pub shape: Shape,
}

impl Field {
    /// Whether a record without this field can be read: it has a default, or it is an option, which is then `None`.
    pub fn may_be_missing(&self) -> bool {
        self.default || matches!(self.shape, Shape::Optional(_))
    }
}

/// An enum without data.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The type's name in Rust, which names the enum where its schema is made from the type.
    pub name: &'static str,
    /// The type's full path in Rust.
    pub path: &'static str,
    /// The names on the wire, in the order of the variants.
    pub symbols: &'static [&'static str],
    /// Names that are read as well, of any variant.
    pub aliases: &'static [&'static str],
}

/// The Rust type, for messages.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("bool"),
            Self::Int(name) | Self::Long(name) => f.write_str(name),
            Self::Float => f.write_str("f32"),
            Self::Double => f.write_str("f64"),
            Self::String => f.write_str("String"),
            Self::Bytes => f.write_str("bytes"),
            Self::Optional(inner) => write!(f, "Option<{inner}>"),
            Self::Array(inner) => write!(f, "Vec<{inner}>"),
            Self::Map(inner) => write!(f, "map of String to {inner}"),
            Self::Record(record) => f.write_str(record.name),
            Self::Enum(choice) => f.write_str(choice.name),
        }
    }
}

macro_rules! plain_shapes {
    ($($rust:ty: $shape:expr;)*) => {$(
        impl Typed for $rust {
            fn shape() -> Shape {
                $shape
            }
        }
    )*};
}

plain_shapes! {
    bool: Shape::Boolean;
    i8: Shape::Int("i8");
    i16: Shape::Int("i16");
    i32: Shape::Int("i32");
    u8: Shape::Int("u8");
    u16: Shape::Int("u16");
    u32: Shape::Long("u32");
    i64: Shape::Long("i64");
    f32: Shape::Float;
    f64: Shape::Double;
    String: Shape::String;
    Bytes: Shape::Bytes;
}

impl<T: Typed> Typed for Option<T> {
    fn shape() -> Shape {
        Shape::Optional(Box::new(T::shape()))
    }
}

/// An array, which is what serde makes of every `Vec`: `Vec<u8>` is bytes only with `#[serde(with = "serde_bytes")]`.
impl<T: Typed> Typed for Vec<T> {
    fn shape() -> Shape {
        Shape::Array(Box::new(T::shape()))
    }
}

impl<T: Typed> Typed for BTreeMap<String, T> {
    fn shape() -> Shape {
        Shape::Map(Box::new(T::shape()))
    }
}

impl<T: Typed, S> Typed for HashMap<String, T, S> {
    fn shape() -> Shape {
        Shape::Map(Box::new(T::shape()))
    }
}

impl<T: Typed> Typed for Box<T> {
    fn shape() -> Shape {
        T::shape()
    }
}
