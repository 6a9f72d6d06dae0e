//! The schema files of an event.

use std::fs;
use std::path::Path;

/// A schema file that exists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) version: u32,
    /// Its path from the package's folder, with a slash in front: it is put behind `CARGO_MANIFEST_DIR`, so that no path of
    /// the machine stands in what is compiled.
    pub(crate) path: String,
}

/// The files of an event up to a version, the oldest first: none where the catalogue does not know the event. A catalogue
/// that knows it and not this version of it is an error.
pub(crate) fn files(package: &Path, event: &str, version: u32) -> Result<Vec<File>, String> {
    let Some((folder, up)) = nearest(package) else { return Ok(Vec::new()) };
    let event_folder = event.rsplit_once('.').map_or(event.to_owned(), |(domain, name)| format!("{domain}/{name}"));
    let Ok(entries) = fs::read_dir(folder.join("schemas").join(&event_folder)) else { return Ok(Vec::new()) };
    let number_of = |name: &str| name.strip_prefix('v')?.strip_suffix(".avsc")?.parse::<u32>().ok();
    let mut versions: Vec<u32> = entries
        .filter_map(|entry| number_of(entry.ok()?.file_name().to_str()?))
        .filter(|number| (1..=version).contains(number))
        .collect();
    versions.sort_unstable();
    if versions.last() != Some(&version) {
        return Err(format!(
            "schemas/{event_folder}/v{version}.avsc is missing: the event is written in version {version}, and the \
             catalogue knows other versions of it only"
        ));
    }
    let file = |version| {
        let path = format!("/{}schemas/{event_folder}/v{version}.avsc", "../".repeat(up));
        File { version, path }
    };
    Ok(versions.into_iter().map(file).collect())
}

/// The nearest folder that has a catalogue, from the package's own upwards, and how many steps up that is.
fn nearest(package: &Path) -> Option<(&Path, usize)> {
    package.ancestors().enumerate().map(|(up, folder)| (folder, up)).find(|(folder, _)| folder.join("schemas").is_dir())
}

#[cfg(test)]
mod tests;
