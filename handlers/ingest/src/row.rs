//! One line of a CSV, taken apart.
//!
//! A line of the file is a line of the table: a quoted field ends on its line. So a stray quote spoils its own line and no
//! other, and memory does not depend on where the next quote stands.

use std::ops::Range;

/// The fields of one line. Its memory is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Row {
    text: String,
    fields: Vec<Range<usize>>,
}

impl Row {
    /// Takes a line apart, without its end. The reason when it cannot be.
    pub(crate) fn read(&mut self, line: &str) -> Result<(), &'static str> {
        self.text.clear();
        self.fields.clear();
        let mut rest = Some(line);
        while let Some(line) = rest {
            let begin = self.text.len();
            rest = if let Some(quoted) = line.strip_prefix('"') {
                self.read_quoted(quoted)?
            } else {
                let (field, rest) = split_field(line);
                self.text.push_str(field);
                rest
            };
            self.fields.push(begin..self.text.len());
        }
        Ok(())
    }

    /// Reads on after an opening quote; a doubled quote is one of the text. Answers what follows the field's comma.
    fn read_quoted<'a>(&mut self, mut rest: &'a str) -> Result<Option<&'a str>, &'static str> {
        loop {
            let Some((text, after)) = rest.split_once('"') else {
                return Err("a quoted field does not end on its line");
            };
            self.text.push_str(text);
            match after.as_bytes().first() {
                None => return Ok(None),
                Some(b',') => return Ok(Some(&after[1..])),
                Some(b'"') => {
                    self.text.push('"');
                    rest = &after[1..];
                }
                Some(_) => return Err("text follows a quoted field"),
            }
        }
    }

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field by its place, from 0; one that is not there is blank.
    pub(crate) fn field(&self, place: usize) -> &str {
        self.fields.get(place).map_or("", |range| &self.text[range.clone()])
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|range| &self.text[range.clone()])
    }
}

/// The text up to the next comma, and what follows it. Fields are short, so a plain walk beats a search.
fn split_field(line: &str) -> (&str, Option<&str>) {
    match line.bytes().position(|byte| byte == b',') {
        Some(at) => (&line[..at], Some(&line[at + 1..])),
        None => (line, None),
    }
}

#[cfg(test)]
mod tests;
