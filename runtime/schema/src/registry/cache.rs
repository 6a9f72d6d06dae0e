//! What the registry answered, on disk: `ID.avsc` for each schema, and `SUBJECT/ID.avsc` for each that is written. Nothing hangs on
//! it: what cannot be read is as good as missing, and what cannot be written is said in the log.

use std::path::{Path, PathBuf};
use std::{fs, io, process};

use super::encoded;
use crate::file;

/// The end of a file's name.
const EXTENSION: &str = "avsc";

/// A folder for one registry.
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The part of `folder` that belongs to the registry of this address.
    pub(super) fn new(folder: &Path, url: &str) -> Self {
        Self { folder: folder.join(encoded(url)) }
    }

    /// The schema of this id. A file that holds none is damaged, and as good as missing.
    pub(super) fn schema(&self, id: u32) -> Option<String> {
        let text = fs::read_to_string(path(&self.folder, id)).ok()?;
        file::parse(&text).is_ok().then_some(text)
    }

    pub(super) fn keep_schema(&self, id: u32, schema: &str) {
        if self.schema(id).is_none_or(|known| known != schema) {
            self.keep(&self.folder, id, schema);
        }
    }

    /// The id of a schema that is written. A file whose text differs is that of another schema, or damaged.
    pub(super) fn id(&self, subject: &str, schema: &str) -> Option<u32> {
        ids(&self.own(subject), schema).next()
    }

    pub(super) fn keep_id(&self, subject: &str, schema: &str, id: u32) {
        let folder = self.own(subject);
        let mut is_known = false;
        for known in ids(&folder, schema) {
            if known == id {
                is_known = true;
            } else if let Err(error) = fs::remove_file(path(&folder, known)) {
                // From a registry that was there before under this address.
                tracing::warn!(folder = %folder.display(), %error, "an id that holds no more cannot be forgotten");
            }
        }
        if !is_known {
            self.keep(&folder, id, schema);
        }
    }

    fn own(&self, subject: &str) -> PathBuf {
        self.folder.join(encoded(subject))
    }

    fn keep(&self, folder: &Path, id: u32, schema: &str) {
        if let Err(error) = write(folder, id, schema) {
            tracing::warn!(folder = %self.folder.display(), %error, "a schema cannot be kept on disk");
        }
    }
}

fn path(folder: &Path, id: u32) -> PathBuf {
    folder.join(format!("{id}.{EXTENSION}"))
}

/// The ids of the files in a folder that hold this text.
fn ids<'a>(folder: &Path, schema: &'a str) -> impl Iterator<Item = u32> + use<'a> {
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    files.filter_map(move |file| {
        let id = file.file_stem()?.to_str()?.parse().ok()?;
        let is_it = file.extension()? == EXTENSION && fs::read_to_string(&file).ok()? == schema;
        is_it.then_some(id)
    })
}

/// Given its name when it is whole. Other processes may do the same at the same time.
fn write(folder: &Path, id: u32, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!("{id}.{}.draft", process::id()));
    fs::write(&draft, text)?;
    fs::File::open(&draft)?.sync_all()?;
    fs::rename(&draft, path(folder, id))
}
