//! Whether a Rust type and a schema agree.

use std::fmt;

use serde_avro_fast::schema::{Enum, Record as SchemaRecord, RegularType, SchemaKey, SchemaMut, Union};

use crate::typed::{Choice, Field, Record, Shape};

/// How deep records, lists, maps and options may stand in each other. The decoder gives up at twice this, so that bytes
/// cannot make it use up the stack; a type that holds itself could be written deeper, and is refused here instead.
const DEEPEST: usize = 32;

/// What a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Values are written in it, and read.
    Written,
    /// Older values are read that were written in it.
    Read,
}

/// Where a type and a schema differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The way to the field, such as `items[].quantity`; empty for the event itself.
    field: String,
    /// What the schema has there.
    schema: String,
    /// What the type has there.
    rust: String,
    /// What may help, or why it matters.
    hint: &'static str,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "field {}: ", self.field)?;
        }
        write!(f, "the schema has {}, the Rust type has {}", self.schema, self.rust)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

/// Compares the event's type with one version of its schema.
pub(crate) fn compare(shape: &Shape, schema: &SchemaMut, purpose: Purpose) -> Result<(), Misfit> {
    Comparison { schema, purpose, field: String::new(), depth: 0 }.types(shape, SchemaKey::root())
}

/// Finds an array whose items take no bytes, so that a few bytes could stand for any number of them.
pub(crate) fn is_bounded(schema: &SchemaMut) -> bool {
    schema.nodes().iter().all(|node| match &node.type_ {
        RegularType::Array(array) => takes_bytes(schema, array.items),
        _ => true,
    })
}

/// Whether every value takes a byte at least. A record that always holds itself does not parse, so this ends.
fn takes_bytes(schema: &SchemaMut, key: SchemaKey) -> bool {
    match &schema[key].type_ {
        RegularType::Null => false,
        RegularType::Fixed(fixed) => fixed.size > 0,
        RegularType::Record(record) => record.fields.iter().any(|field| takes_bytes(schema, field.type_)),
        _ => true,
    }
}

struct Comparison<'a> {
    schema: &'a SchemaMut,
    purpose: Purpose,
    /// Where the comparison is.
    field: String,
    depth: usize,
}

impl Comparison<'_> {
    fn types(&mut self, shape: &Shape, key: SchemaKey) -> Result<(), Misfit> {
        use RegularType as Avro;
        if self.depth == DEEPEST {
            let hint = "it is nested deeper than can be read, or it holds itself";
            return Err(self.misfit(self.describe(key), shape.to_string(), hint));
        }
        let is_read = self.purpose == Purpose::Read;
        let schema = self.schema;
        let fits = match (shape, &schema[key].type_) {
            (Shape::Optional(inner), Avro::Union(union)) => return self.optional(inner, union, shape, key),
            (Shape::Optional(inner), _) if is_read => return self.inside("", inner, key),
            (Shape::Array(inner), Avro::Array(array)) => return self.inside("[]", inner, array.items),
            (Shape::Map(inner), Avro::Map(map)) => return self.inside("{}", inner, map.values),
            (Shape::Record(record), Avro::Record(written)) => return self.records(record, written),
            (Shape::Enum(choice), Avro::Enum(written)) => return self.enums(choice, written),
            (Shape::Boolean, Avro::Boolean)
            | (Shape::Int(_), Avro::Int)
            | (Shape::Long(_), Avro::Long)
            | (Shape::Float, Avro::Float)
            | (Shape::Double, Avro::Double)
            | (Shape::String, Avro::String)
            | (Shape::Bytes, Avro::Bytes | Avro::Fixed(_)) => true,
            // What the specification promotes when it reads.
            (Shape::Long(_), Avro::Int)
            | (Shape::Float, Avro::Int | Avro::Long)
            | (Shape::Double, Avro::Int | Avro::Long | Avro::Float)
            | (Shape::String, Avro::Bytes)
            | (Shape::Bytes, Avro::String) => is_read,
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.misfit(self.describe(key), shape.to_string(), self.hint(shape, key))) }
    }

    /// Goes on with what stands in the current type.
    fn inside(&mut self, step: &str, shape: &Shape, key: SchemaKey) -> Result<(), Misfit> {
        let length = self.field.len();
        self.field.push_str(step);
        self.depth += 1;
        let answer = self.types(shape, key);
        self.depth -= 1;
        self.field.truncate(length);
        answer
    }

    fn optional(&mut self, inner: &Shape, union: &Union, shape: &Shape, key: SchemaKey) -> Result<(), Misfit> {
        let is_null = |key: SchemaKey| matches!(self.schema[key].type_, RegularType::Null);
        match union.variants[..] {
            [null, other] | [other, null] if is_null(null) && !is_null(other) => self.inside("", inner, other),
            _ => Err(self.misfit(self.describe(key), shape.to_string(), "only unions of null and one type are read")),
        }
    }

    fn records(&mut self, record: &Record, written: &SchemaRecord) -> Result<(), Misfit> {
        let fields = (record.fields)();
        for field in &fields {
            let names = |name: &str| name == field.name || self.reads(field, name);
            let mut found = written.fields.iter().filter(|written| names(&written.name));
            match (found.next(), found.next()) {
                (Some(one), None) => self.inside(&self.step(field.name), &field.shape, one.type_)?,
                (Some(_), Some(_)) => {
                    let hint = "serde refuses a field that comes twice";
                    return Err(self.field_misfit(field.name, "it under its name and an alias", "both names", hint));
                }
                (None, _) if self.purpose == Purpose::Read && field.may_be_missing() => {}
                (None, _) => {
                    let hint = match self.purpose {
                        Purpose::Written => "a new field needs a new version of the schema",
                        Purpose::Read => "a field that older records lack needs `#[serde(default)]`",
                    };
                    return Err(self.field_misfit(field.name, "no such field", &field.shape.to_string(), hint));
                }
            }
        }
        if self.purpose == Purpose::Written {
            let unknown = written.fields.iter().find(|known| fields.iter().all(|field| field.name != known.name));
            if let Some(unknown) = unknown {
                let hint = "without a value for it no record can be written";
                return Err(self.field_misfit(&unknown.name, &self.describe(unknown.type_), "no such field", hint));
            }
        }
        Ok(())
    }

    /// Whether an older record's field of this name is read as `field`.
    fn reads(&self, field: &Field, name: &str) -> bool {
        self.purpose == Purpose::Read && field.aliases.contains(&name)
    }

    fn enums(&mut self, choice: &Choice, written: &Enum) -> Result<(), Misfit> {
        let is_known = |symbol: &String| {
            let symbol = symbol.as_str();
            choice.symbols.contains(&symbol) || choice.aliases.contains(&symbol)
        };
        let rust = || format!("{} without it", choice.name);
        if let Some(symbol) = written.symbols.iter().find(|symbol| !is_known(symbol)) {
            return Err(self.misfit(format!("the symbol {symbol}"), rust(), "records that hold it could not be read"));
        }
        let is_written = |symbol: &&&str| written.symbols.iter().any(|known| known == **symbol);
        let lacking = choice.symbols.iter().find(|symbol| !is_written(symbol));
        match lacking.filter(|_| self.purpose == Purpose::Written) {
            Some(symbol) => {
                let schema = format!("{} without the symbol {symbol}", written.name.fully_qualified_name());
                let hint = "records that hold it could not be written";
                Err(self.misfit(schema, format!("it as a variant of {}", choice.name), hint))
            }
            None => Ok(()),
        }
    }

    fn hint(&self, shape: &Shape, key: SchemaKey) -> &'static str {
        match (shape, &self.schema[key].type_) {
            (Shape::Array(inner), RegularType::Bytes | RegularType::Fixed(_))
                if matches!(**inner, Shape::Int("u8")) =>
            {
                "bytes need `#[serde(with = \"serde_bytes\")]`, or the type `bytes::Bytes`"
            }
            (Shape::Optional(_), _) => "an option is a union with null",
            (_, RegularType::Union(_)) => "a union with null is an option",
            _ => "",
        }
    }

    /// The step to a field of the current record.
    fn step(&self, name: &str) -> String {
        if self.field.is_empty() { name.to_owned() } else { format!(".{name}") }
    }

    fn field_misfit(&self, name: &str, schema: &str, rust: &str, hint: &'static str) -> Misfit {
        let field = format!("{}{}", self.field, self.step(name));
        Misfit { field, schema: schema.to_owned(), rust: rust.to_owned(), hint }
    }

    fn misfit(&self, schema: String, rust: String, hint: &'static str) -> Misfit {
        Misfit { field: self.field.clone(), schema, rust, hint }
    }

    /// A schema's type, for messages. Ends at names, so it ends.
    fn describe(&self, key: SchemaKey) -> String {
        match &self.schema[key].type_ {
            RegularType::Array(array) => format!("array of {}", self.describe(array.items)),
            RegularType::Map(map) => format!("map of {}", self.describe(map.values)),
            RegularType::Union(union) => {
                let all: Vec<String> = union.variants.iter().map(|key| self.describe(*key)).collect();
                format!("union of {}", all.join(" and "))
            }
            RegularType::Record(record) => format!("record {}", record.name.fully_qualified_name()),
            RegularType::Enum(choice) => format!("enum {}", choice.name.fully_qualified_name()),
            RegularType::Fixed(fixed) => format!("fixed {}", fixed.name.fully_qualified_name()),
            primitive => format!("{primitive:?}").to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests;
