//! One schema file of the catalogue.

use serde_avro_fast::schema::SchemaMut;

/// The most that apache-avro may allocate for one value. It never decodes a record here; this bounds whoever comes to ask.
const LARGEST_ALLOCATION_BYTES: usize = 16 * 1024 * 1024;

/// Where the schema of an event's version stands, from the root of the project: `shop.order-placed` version 2 is
/// `schemas/shop/order-placed/v2.avsc`.
pub(crate) fn path(event: &str, version: u32) -> String {
    let (domain, name) = event.rsplit_once('.').unwrap_or(("", event));
    format!("schemas/{domain}/{name}/v{version}.avsc")
}

/// Reads a schema. Logical types become the types they are made of: a Rust type says by itself what its value means.
pub(crate) fn parse(text: &str) -> Result<SchemaMut, String> {
    apache_avro::util::max_allocation_bytes(LARGEST_ALLOCATION_BYTES);
    apache_avro::Schema::parse_str(text).map_err(|error| error.to_string())?;
    let mut schema: SchemaMut =
        text.parse().map_err(|error: serde_avro_fast::schema::SchemaError| error.to_string())?;
    for node in schema.nodes_mut() {
        node.logical_type = None;
    }
    Ok(schema)
}

#[cfg(test)]
mod tests;
