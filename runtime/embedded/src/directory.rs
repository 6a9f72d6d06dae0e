//! A directory on disk: held by one process, recognised as ours, or refused.
//!
//! It has a file `lock`, a file `manifest` that says what it is, and a folder `store`. The manifest is written when the store
//! has been made and knows the directory's id, so a directory with a manifest is whole.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::hash::BuildHasher;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Change, Durability, Store};

use crate::layout;
use crate::lock;
use crate::settings::Settings;
use crate::store::{self, StoreKind};

const LOCK: &str = "lock";
const MANIFEST: &str = "manifest";
const STORE: &str = "store";
/// A manifest that is being written.
const DRAFT: &str = "manifest.new";
/// The version of everything that is stored in a directory: the layout, the chunks, header blocks, states.
const FORMAT: u32 = 1;

/// What a directory is for. Each has a layout of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A log, with the state of its services.
    Log,
    /// Rows and an outbox of a program.
    Rows,
}

impl Holds {
    /// The first line of the manifest.
    fn title(self) -> &'static str {
        match self {
            Self::Log => "tidemill embedded directory",
            Self::Rows => "tidemill directory of rows",
        }
    }

    fn titled(title: &str) -> Option<Self> {
        [Self::Log, Self::Rows].into_iter().find(|holds| holds.title() == title)
    }
}

/// What a manifest says behind its title.
struct Manifest {
    store: StoreKind,
    id: String,
}

/// A directory that this process holds.
#[derive(Debug)]
pub(crate) struct Directory {
    id: String,
    /// Let go when the directory is dropped, or when the process ends however it ends.
    _lock: File,
}

impl Directory {
    /// The directory's own id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Opens a directory that is ours, or makes one where nothing is.
    pub(crate) fn open(path: &Path, holds: Holds, settings: &Settings) -> Result<(Self, Arc<dyn Store>), Coded> {
        // Looked at before anything is written, and again when nobody else can write.
        is_new(path)?;
        fs::create_dir_all(path).map_err(|error| unusable(path, &error))?;
        let lock = hold(path)?;
        let (id, store) = if is_new(path)? { make(path, holds, settings)? } else { find(path, holds, settings)? };
        Ok((Self { id, _lock: lock }, store))
    }
}

/// Whether there is nothing yet. Something that is not ours is refused before anything is written.
fn is_new(path: &Path) -> Result<bool, Coded> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(unusable(path, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(|error| unusable(path, &error))?.file_name());
    }
    if names.iter().any(|name| name == MANIFEST) {
        return Ok(false);
    }
    match names.iter().find(|name| *name != LOCK) {
        None => Ok(true),
        Some(name) if name == STORE || name == DRAFT => {
            let message =
                format!("{} has no manifest; its making was interrupted, or the file was taken away", path.display());
            Err(Coded::new(Code::DAMAGED, message))
        }
        Some(name) => {
            let name = name.to_string_lossy();
            let message =
                format!("{} holds {name}, which is not ours; give an empty or a new directory", path.display());
            Err(Coded::new(Code::FOREIGN_DIRECTORY, message))
        }
    }
}

fn hold(path: &Path) -> Result<File, Coded> {
    let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK));
    let lock = lock.map_err(|error| unusable(path, &error))?;
    match lock::hold(&lock) {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{} is in use by another process; one process owns a directory", path.display());
            Err(Coded::new(Code::DIRECTORY_IN_USE, message))
        }
        Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
    }
}

/// Makes the store, then the manifest.
fn make(path: &Path, holds: Holds, settings: &Settings) -> Result<(String, Arc<dyn Store>), Coded> {
    let id = fresh_id();
    let store = store::open(settings.store, &path.join(STORE), settings.store_cache)?;
    let value = Some(id.clone().into_bytes().into());
    store.apply(vec![Change { key: layout::ID.into(), value }], Durability::Synced)?;
    let title = holds.title();
    let text = format!("{title}\nformat = {FORMAT}\nstore = {}\nid = {id}\n", settings.store);
    write_durably(path, &text).map_err(|error| unusable(path, &error))?;
    Ok((id, store))
}

/// Opens the store that the manifest names.
fn find(path: &Path, holds: Holds, settings: &Settings) -> Result<(String, Arc<dyn Store>), Coded> {
    let manifest = read_manifest(&path.join(MANIFEST), holds)?;
    if manifest.store != settings.store {
        let (made, asked) = (manifest.store, settings.store);
        let message = format!("{} was made with {made}, and {asked} is asked for; say --store {made}", path.display());
        return Err(Coded::new(Code::OTHER_STORE, message));
    }
    let folder = path.join(STORE);
    if !folder.is_dir() {
        return Err(Coded::new(Code::DAMAGED, format!("the store of {} is gone", path.display())));
    }
    let store = store::open(manifest.store, &folder, settings.store_cache)?;
    if store.get(layout::ID)?.as_deref() != Some(manifest.id.as_bytes()) {
        let message = format!("the store of {} is not the one that its manifest names", path.display());
        return Err(Coded::new(Code::DAMAGED, message));
    }
    Ok((manifest.id, store))
}

fn read_manifest(path: &PathBuf, holds: Holds) -> Result<Manifest, Coded> {
    let unreadable = || Coded::new(Code::DAMAGED, format!("{} is not a manifest of ours", path.display()));
    let bytes = fs::read(path).map_err(|error| unusable(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let mut lines = text.lines();
    let found = lines.next().and_then(Holds::titled).ok_or_else(unreadable)?;
    if found != holds {
        let (found, wanted) = (found.title(), holds.title());
        let message = format!("{} is of a {found}, and a {wanted} is wanted; give another directory", path.display());
        return Err(Coded::new(Code::FOREIGN_DIRECTORY, message));
    }
    let mut value_of = |key: &str| {
        let value = lines.next()?.strip_prefix(key)?.strip_prefix(" = ")?;
        Some(value.to_owned())
    };
    let format: u32 = value_of("format").and_then(|format| format.parse().ok()).ok_or_else(unreadable)?;
    if format != FORMAT {
        let message = format!("{} is of format {format}, and this build reads format {FORMAT}", path.display());
        return Err(Coded::new(Code::FORMAT_VERSION, message));
    }
    let store = value_of("store").and_then(|store| store.parse().ok()).ok_or_else(unreadable)?;
    Ok(Manifest { store, id: value_of("id").ok_or_else(unreadable)? })
}

/// Writes the manifest so that it is there whole or not at all.
fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.join(DRAFT);
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path.join(MANIFEST))?;
    File::open(path)?.sync_all()
}

/// An id that no other directory has: two draws of the keys that the standard library takes from the system.
pub(crate) fn fresh_id() -> String {
    let mut id = String::new();
    for _ in 0..2 {
        write!(id, "{:016x}", RandomState::new().hash_one(std::process::id())).expect("a string takes everything");
    }
    id
}

fn unusable(path: &Path, error: &io::Error) -> Coded {
    Coded::new(Code::WRITE_FAILED, format!("{} cannot be used: {error}", path.display()))
}

#[cfg(test)]
mod tests;
