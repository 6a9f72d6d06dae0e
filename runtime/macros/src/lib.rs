//! The derives of tidemill. What they write names everything through the crate `tidemill`, which re-exports them.

mod case;
mod catalogue;
mod event;
mod typed;
mod wire;

/// The examples of the page on schemas, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SCHEMAS.md")]
struct Schemas;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a type an event, and says what it looks like in Avro:
///
/// ```
/// use tidemill::prelude::*;
///
/// #[derive(Debug, Serialize, Deserialize, Event)]
/// #[event(name = "demo.order-placed", version = 1, topic = "orders", key = order_id)]
/// pub struct OrderPlaced {
///     pub order_id: String,
///     pub total_milli: i64,
/// }
/// ```
///
/// * `name`: what records are marked with, for ever; a domain and a name with a dot between them.
/// * `version`: the version of the schema that is written, from 1.
/// * `topic`: where the events go. Without one, they can only be scheduled.
/// * `key`: the field that is the record's key. Without one, events have neither order nor state.
/// * `codec`: `avro`, which is the default, `json`, `raw`, or the path of a codec of your own.
///
/// The schema files are those of the nearest folder `schemas/` from the package upwards: `shop.order-placed` version 2 is
/// `schemas/shop/order-placed/v2.avsc`. All versions up to `version` become part of the program. An event without a folder
/// there has the schema of its type.
///
/// Events in Avro are structs with named fields, whose types are [`Typed`](macro@Typed). Names follow serde's `rename`,
/// `rename_all` and `alias`, absent fields its `default`, and `skip` leaves a field out. What Avro cannot follow is an error.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    event::expand(&input, package.as_ref()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Says what a type looks like in Avro, so that it can stand in an event: a struct with named fields is a record, an enum
/// without data an enum, and a newtype with `#[serde(transparent)]` is what it holds.
///
/// Derive it next to serde's `Serialize` and `Deserialize`. `derive(Event)` does the same for the event itself.
#[proc_macro_derive(Typed)]
pub fn derive_typed(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    typed::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
