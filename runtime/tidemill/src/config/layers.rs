//! Where configuration comes from: a file, the environment, flags. Each layer is a list of keys with their text.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use tidemill_core::code::{Code, Coded};

use crate::command::Options;
use crate::config::HIDDEN;

/// What every environment variable of ours begins with.
const PREFIX: &str = "TIDEMILL_";
/// What those begin with that are for the project's own tests and configure nothing.
const TEST_PREFIX: &str = "TIDEMILL_TEST_";
/// The file that is read where no other is named and this one exists.
const DEFAULT_FILE: &str = "tidemill.toml";

/// What the value of a secret begins with that stands in a file.
const SECRET_FILE: &str = "file:";

/// Who gave a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is the default.
    Default,
    /// This file.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// This flag of the command line.
    Flag(&'static str),
    /// The program itself.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Program => f.write_str("program"),
        }
    }
}

/// A value as a layer gives it, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) key: String,
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// What the file says: the one that is named, or the default one if it exists.
pub(super) fn file(named: Option<&Path>) -> Result<Vec<Given>, Coded> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => parse_file(path, &text),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unreadable(path, &error.to_string())),
    }
}

fn unreadable(path: &Path, cause: &str) -> Coded {
    let message = format!("configuration file {} cannot be read: {}", path.display(), cause.trim());
    Coded::new(Code::UNREADABLE_FILE, message)
}

/// Reads the text of a file.
pub(super) fn parse_file(path: &Path, text: &str) -> Result<Vec<Given>, Coded> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        unreadable(path, &format!("line {line}: {}", error.message()))
    })?;
    let mut given = Vec::new();
    flatten(path, "", table, &mut given)?;
    Ok(given)
}

fn flatten(path: &Path, above: &str, table: toml::Table, given: &mut Vec<Given>) -> Result<(), Coded> {
    for (name, value) in table {
        let key = if above.is_empty() { name } else { format!("{above}.{name}") };
        let text = match value {
            toml::Value::Table(table) => {
                flatten(path, &key, table, given)?;
                continue;
            }
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                let message = format!("{key} in file {} is a list or a date, and no key takes one", path.display());
                return Err(Coded::new(Code::BAD_VALUE, message));
            }
        };
        given.push(Given { key, text, origin: Origin::File(path.to_owned()) });
    }
    Ok(())
}

/// A secret: the text itself, or, for `file:PATH`, what stands in that file, without the line feed at its end.
pub(super) fn secret(key: &str, text: String) -> Result<String, Coded> {
    let Some(path) = text.strip_prefix(SECRET_FILE) else { return Ok(text) };
    let read = std::fs::read_to_string(path.trim());
    let read =
        read.map_err(|error| Coded::new(Code::UNREADABLE_FILE, format!("{key}: file {path} cannot be read: {error}")))?;
    Ok(read.trim_end_matches(['\r', '\n']).to_owned())
}

/// An address as it may be shown: a password in it is left out.
pub(super) fn without_password(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    if rest.contains("password=") {
        return format!("{scheme}://{HIDDEN}").into();
    }
    let Some((user, place)) = rest.rsplit_once('@') else { return text.into() };
    match user.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{HIDDEN}@{place}").into(),
        None => text.into(),
    }
}

/// What the environment says: `TIDEMILL_TOPICS__PARTITIONS` is `topics.partitions`.
pub(super) fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Given>, Coded> {
    let mut given = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let Some(levels) = name.strip_prefix(PREFIX).filter(|_| !name.starts_with(TEST_PREFIX)) else { continue };
        let text = value.into_string().map_err(|_| {
            Coded::new(Code::BAD_VALUE, format!("environment variable {name} does not hold valid text (UTF-8)"))
        })?;
        let key = levels.to_lowercase().replace("__", ".");
        given.push(Given { key, text, origin: Origin::Environment(name.to_owned()) });
    }
    Ok(given)
}

/// What the command line says. A flag of its own wins over `--set`.
pub(super) fn flags(options: &Options) -> Vec<Given> {
    let set = options.set.iter().map(|(key, text)| (key.as_str(), "--set", Some(text)));
    let own = [
        ("broker", "--broker", options.broker.as_ref()),
        ("state", "--state", options.state.as_ref()),
        ("state_dir", "--state-dir", options.state_dir.as_ref()),
        ("store", "--store", options.store.as_ref()),
        ("log.format", "--log", options.log.as_ref()),
    ];
    let flags = set.chain(own);
    flags
        .filter_map(|(key, flag, text)| {
            Some(Given { key: key.to_owned(), text: text?.clone(), origin: Origin::Flag(flag) })
        })
        .collect()
}
