//! The schema of an event that has no file: made from its type.

use std::collections::BTreeMap;

use crate::typed::{Choice, Record, Shape};

/// The text of the schema, or why there is none.
pub(crate) fn schema(event: &str, shape: &Shape) -> Result<String, String> {
    let domain = event.rsplit_once('.').map_or("", |(domain, _)| domain);
    let mut writing = Writing { namespace: domain.replace('-', "_"), known: BTreeMap::new(), text: String::new() };
    writing.shape(shape)?;
    Ok(writing.text)
}

struct Writing {
    namespace: String,
    /// The records and enums written so far, with their paths in Rust.
    known: BTreeMap<&'static str, &'static str>,
    text: String,
}

impl Writing {
    fn shape(&mut self, shape: &Shape) -> Result<(), String> {
        match shape {
            Shape::Boolean => self.push(r#""boolean""#),
            Shape::Int(_) => self.push(r#""int""#),
            Shape::Long(_) => self.push(r#""long""#),
            Shape::Float => self.push(r#""float""#),
            Shape::Double => self.push(r#""double""#),
            Shape::String => self.push(r#""string""#),
            Shape::Bytes => self.push(r#""bytes""#),
            Shape::Optional(inner) => self.around(r#"["null","#, inner, "]")?,
            Shape::Array(inner) => self.around(r#"{"type":"array","items":"#, inner, "}")?,
            Shape::Map(inner) => self.around(r#"{"type":"map","values":"#, inner, "}")?,
            Shape::Record(record) => self.record(record)?,
            Shape::Enum(choice) => self.choice(choice)?,
        }
        Ok(())
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn around(&mut self, before: &str, shape: &Shape, after: &str) -> Result<(), String> {
        self.push(before);
        self.shape(shape)?;
        self.push(after);
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<(), String> {
        if !self.begin("record", record.name, record.path)? {
            return Ok(());
        }
        self.push(r#","fields":["#);
        for (at, field) in (record.fields)().iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            let before = format!(r#"{separator}{{"name":"{}","type":"#, field.name);
            self.around(&before, &field.shape, "}")?;
        }
        self.push("]}");
        Ok(())
    }

    fn choice(&mut self, choice: &Choice) -> Result<(), String> {
        if self.begin("enum", choice.name, choice.path)? {
            let symbols: Vec<String> = choice.symbols.iter().map(|symbol| format!(r#""{symbol}""#)).collect();
            self.push(&format!(r#","symbols":[{}]}}"#, symbols.join(",")));
        }
        Ok(())
    }

    /// Begins the definition of a named type. Where it stands already, its name is enough: answers `false`.
    fn begin(&mut self, kind: &str, name: &'static str, path: &'static str) -> Result<bool, String> {
        let full = if self.namespace.is_empty() { name.to_owned() } else { format!("{}.{name}", self.namespace) };
        match self.known.insert(name, path) {
            None => {
                self.push(&format!(r#"{{"type":"{kind}","name":"{full}""#));
                Ok(true)
            }
            Some(known) if known == path => {
                self.push(&format!(r#""{full}""#));
                Ok(false)
            }
            Some(known) => Err(format!("two of its types are called {name}: {known} and {path}; rename one")),
        }
    }
}

#[cfg(test)]
mod tests;
