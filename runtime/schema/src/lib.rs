//! Avro for events: the codec, and the check that Rust types and schema files agree.
//!
//! An event's schema stands in the catalogue, `schemas/DOMAIN/EVENT/vN.avsc`, one file for each version; `derive(Event)`
//! embeds them. [`Avro::open`](tidemill_core::codec::Codec::open) compares each with what [`Typed`] says of the Rust type,
//! so that a field that cannot be read is found when a service starts. Values are written in Avro's single-object
//! encoding: two bytes of marker, eight that name the writer's schema, and the fields in the schema's order.

mod avro;
mod check;
mod file;
mod from_type;
mod typed;

pub mod registry;

pub use avro::Avro;
pub use typed::{Choice, Field, Record, Shape, Typed};
