//! One schema file of the catalogue.

use std::collections::BTreeMap;

use apache_avro::Schema;
use serde_avro_fast::schema::SchemaMut;

/// The most that apache-avro may allocate for one value. It never decodes a record here; this bounds whoever comes to ask.
const LARGEST_ALLOCATION_BYTES: usize = 16 * 1024 * 1024;

/// The most fields of a record, those of the records in it included. A few records that hold each other twice over have more fields
/// than anybody lives to see skipped.
const MOST_FIELDS: usize = 4096;

/// Where the schema of an event's version stands, from the root of the project: `shop.order-placed` version 2 is
/// `schemas/shop/order-placed/v2.avsc`.
pub(crate) fn path(event: &str, version: u32) -> String {
    let (domain, name) = event.rsplit_once('.').unwrap_or(("", event));
    format!("schemas/{domain}/{name}/v{version}.avsc")
}

/// Reads a schema. Logical types become the types they are made of: a Rust type says by itself what its value means.
pub(crate) fn parse(text: &str) -> Result<SchemaMut, String> {
    apache_avro::util::max_allocation_bytes(LARGEST_ALLOCATION_BYTES);
    let parsed = Schema::parse_str(text).map_err(|error| error.to_string())?;
    let mut fields = Fields::default();
    fields.count(&parsed);
    if fields.most > MOST_FIELDS {
        return Err(format!("a record has more than {MOST_FIELDS} fields, those of the records in it included"));
    }
    let mut schema: SchemaMut =
        text.parse().map_err(|error: serde_avro_fast::schema::SchemaError| error.to_string())?;
    for node in schema.nodes_mut() {
        node.logical_type = None;
    }
    Ok(schema)
}

/// The number of fields of each record.
#[derive(Default)]
struct Fields {
    known: BTreeMap<String, usize>,
    most: usize,
}

impl Fields {
    /// How many fields stand in a value of this type in any case: nothing is said of lists, maps and choices.
    fn count(&mut self, schema: &Schema) -> usize {
        match schema {
            Schema::Record(record) => {
                // Until it is counted: whoever names it from inside means a record without an end.
                self.known.insert(record.name.fullname(None), usize::MAX);
                let all = record.fields.iter().map(|field| self.count(&field.schema).saturating_add(1));
                let count = all.fold(0, usize::saturating_add);
                self.known.insert(record.name.fullname(None), count);
                self.most = self.most.max(count);
                count
            }
            Schema::Ref { name } => self.known.get(&name.fullname(None)).copied().unwrap_or_default(),
            Schema::Array(list) => self.elsewhere(&list.items),
            Schema::Map(map) => self.elsewhere(&map.types),
            Schema::Union(union) => union.variants().iter().map(|one| self.elsewhere(one)).sum(),
            _ => 0,
        }
    }

    fn elsewhere(&mut self, schema: &Schema) -> usize {
        self.count(schema);
        0
    }
}

#[cfg(test)]
mod tests;
