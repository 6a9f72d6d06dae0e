//! The project's text files, read once, and the tokens of those that are Rust.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::lexer::{self, Source};

/// Folders at the root that hold nothing of the project's own.
const SKIPPED: &[&str] = &["target", ".git"];
/// Larger files are data, not text that somebody wrote; Rust is read whatever its size.
const LARGEST_TEXT_BYTES: u64 = 1024 * 1024;

/// One place where a rule does not hold, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// The files of a project by their path from its root, with `/` between the parts.
#[derive(Default)]
pub(crate) struct Tree {
    texts: BTreeMap<String, String>,
    sources: BTreeMap<String, Source>,
    unreadable: Vec<Finding>,
}

impl Tree {
    /// Reads a project from the disk.
    pub(crate) fn load(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.walk(root, "");
        tree
    }

    /// A project of these files, for the proof that a rule can fail.
    pub(crate) fn sample<T: Into<String>>(files: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add(path.to_owned(), text.into());
        }
        tree
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        for entry in entries.map(|entry| entry.expect("the folder stays while it is read")) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() && !SKIPPED.contains(&path.as_str()) {
                self.walk(&entry.path(), &format!("{path}/"));
            } else if about.is_file() && (about.len() <= LARGEST_TEXT_BYTES || has_extension(&path, "rs")) {
                // What is not UTF-8 is no text of ours; what vanished meanwhile was somebody's scratch file.
                if let Ok(text) = fs::read_to_string(entry.path()) {
                    self.add(path, text);
                }
            }
        }
    }

    fn add(&mut self, path: String, text: String) {
        if has_extension(&path, "rs") {
            match lexer::lex(&text) {
                Ok(source) => {
                    self.sources.insert(path.clone(), source);
                }
                Err(line) => {
                    self.unreadable.push(Finding::new(&path, line, "this is not Rust; no rule was checked here"));
                }
            }
        }
        self.texts.insert(path, text);
    }

    /// Every text file.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Rust file.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(path, source)| (path.as_str(), source))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// The tokens of one Rust file.
    pub(crate) fn source(&self, path: &str) -> Option<&Source> {
        self.sources.get(path)
    }
}

/// Whether the name of a file ends in `.EXTENSION`.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Every Rust file can be read; without this, a rule would pass over what it cannot see.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.unreadable.clone()
}

#[cfg(test)]
mod tests;
