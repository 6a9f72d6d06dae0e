//! Reads the language of `--where`.

use std::fmt;

use tidemill_core::time::Timestamp;

use super::{Compared, Comparison, Field, Filter, Kind, Value};

/// How deep an expression may be nested: it is read, and held against letters, by calls into calls.
const DEEPEST: usize = 64;

/// Why an expression cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::command) struct Misread {
    /// The character, from 1.
    pub(super) at: usize,
    what: String,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.what)
    }
}

impl std::error::Error for Misread {}

/// Reads a whole expression.
pub(super) fn parse(text: &str) -> Result<Filter, Misread> {
    let mut reader = Reader { text, at: 0 };
    let filter = reader.either(0)?;
    if reader.rest().is_empty() { Ok(filter) } else { Err(reader.misread("`and`, `or` or the end is expected")) }
}

struct Reader<'a> {
    text: &'a str,
    /// The byte that comes next.
    at: usize,
}

impl<'a> Reader<'a> {
    /// What is left, without the space before it.
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn misread(&self, what: impl Into<String>) -> Misread {
        Misread { at: self.text[..self.at].chars().count() + 1, what: what.into() }
    }

    /// The word that comes next; empty where something else comes.
    fn peek(&mut self) -> &'a str {
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || "()\"=!<>~".contains(c);
        &rest[..rest.find(ends).unwrap_or(rest.len())]
    }

    /// Takes this word or sign, if it comes next.
    fn take(&mut self, wanted: &str) -> bool {
        let is_word = wanted.starts_with(char::is_alphabetic);
        let comes = if is_word { self.peek() == wanted } else { self.rest().starts_with(wanted) };
        self.at += if comes { wanted.len() } else { 0 };
        comes
    }

    fn either(&mut self, depth: usize) -> Result<Filter, Misread> {
        self.parts(depth, "or", Self::both, Filter::Either)
    }

    fn both(&mut self, depth: usize) -> Result<Filter, Misread> {
        self.parts(depth, "and", Self::one, Filter::Both)
    }

    fn parts(
        &mut self,
        depth: usize,
        word: &str,
        part: fn(&mut Self, usize) -> Result<Filter, Misread>,
        whole: fn(Vec<Filter>) -> Filter,
    ) -> Result<Filter, Misread> {
        let mut parts = vec![part(self, depth)?];
        while self.take(word) {
            parts.push(part(self, depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { whole(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Filter, Misread> {
        if depth == DEEPEST {
            return Err(self.misread(format!("it is nested more than {DEEPEST} deep")));
        }
        if self.take("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.either(depth + 1)?;
            return if self.take(")") { Ok(inner) } else { Err(self.misread("`)` is expected")) };
        }
        self.compared().map(Filter::Compared)
    }

    fn compared(&mut self) -> Result<Compared, Misread> {
        let word = self.peek();
        let Some((_, field)) = Field::ALL.iter().find(|(name, _)| *name == word) else {
            let names = Field::ALL.map(|(name, _)| name).join(", ");
            return Err(self.misread(match word {
                "" => format!("a field is expected: one of {names}"),
                _ => format!("there is no field {word}; there are {names}"),
            }));
        };
        self.at += word.len();
        let Some((sign, comparison)) = Comparison::ALL.iter().find(|(sign, _)| self.rest().starts_with(sign)) else {
            return Err(self.misread("one of = != < > ~ is expected"));
        };
        let fits = match comparison {
            Comparison::Is | Comparison::IsNot => true,
            Comparison::Holds => field.kind() == Kind::Text,
            Comparison::Less | Comparison::More => field.kind() != Kind::Text,
        };
        if !fits {
            return Err(self.misread(format!("{word} cannot be compared by {sign}")));
        }
        self.at += sign.len();
        Ok(Compared { field: *field, comparison: *comparison, value: self.value(field.kind())? })
    }

    fn value(&mut self, kind: Kind) -> Result<Value, Misread> {
        let begin = {
            self.rest();
            self.at
        };
        let text = if self.take("\"") { self.quoted(begin)? } else { self.word()? };
        let read = match kind {
            Kind::Text => return Ok(Value::Text(text)),
            Kind::Number => text.parse().ok().map(Value::Number),
            Kind::Time => Timestamp::parse(&text).map(Value::Time),
        };
        read.ok_or_else(|| {
            self.at = begin;
            self.misread(match kind {
                Kind::Time => "a time such as 2011-12-09T12:50:00Z is expected",
                _ => "a number is expected",
            })
        })
    }

    fn word(&mut self) -> Result<String, Misread> {
        let word = self.peek();
        if word.is_empty() {
            return Err(self.misread("a value is expected; one with spaces or signs stands in double quotes"));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }

    /// The rest of a value whose quote at `begin` was taken.
    fn quoted(&mut self, begin: usize) -> Result<String, Misread> {
        let (mut text, mut escaped) = (String::new(), false);
        for (place, c) in self.text[self.at..].char_indices() {
            match c {
                '"' if !escaped => {
                    self.at += place + 1;
                    return Ok(text);
                }
                '\\' if !escaped => escaped = true,
                c => {
                    text.push(c);
                    escaped = false;
                }
            }
        }
        self.at = begin;
        Err(self.misread("this quote is not closed"))
    }
}
