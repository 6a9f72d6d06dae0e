//! Java, and what Maven brings for it: fetched once into the user's cache folder, and used from there by everybody.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::log;

/// Something that Maven brings.
pub(crate) struct Bundle {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// Its folder in the cache.
    pub(crate) folder: &'static str,
    /// What Maven has to bring.
    pub(crate) pom: &'static str,
    /// The goal of Maven that puts it into the folder `lib`; with its plugin's version, so that it does the same everywhere.
    pub(crate) goal: &'static str,
}

impl Bundle {
    /// The folder with what was brought, after it was fetched if it has to be. One process fetches; others wait for it.
    pub(crate) fn fetched(&self) -> Result<PathBuf, Error> {
        let folder = cache().join(self.folder);
        if !self.is_complete(&folder) {
            let lock = lock_file(&format!("{}.lock", self.folder))?;
            lock.lock().map_err(Error::io(format!("cannot lock the folder of {}", self.name)))?;
            if !self.is_complete(&folder) {
                self.fetch(&folder)?;
            }
        }
        Ok(folder.join("lib"))
    }

    /// Whether the folder was made for the list that this build wants: it appears whole or not at all.
    fn is_complete(&self, folder: &Path) -> bool {
        fs::read_to_string(folder.join("pom.xml")).is_ok_and(|pom| pom == self.pom)
    }

    fn fetch(&self, folder: &Path) -> Result<(), Error> {
        let fresh = tempfile::Builder::new().prefix("fetching-").tempdir_in(cache());
        let fresh = fresh.map_err(Error::io("cannot make a folder in the cache"))?;
        let pom = fs::write(fresh.path().join("pom.xml"), self.pom);
        pom.map_err(Error::io(format!("cannot write what to fetch for {}", self.name)))?;
        let install = "Maven (on Debian: apt-get install maven)";
        let maven = in_path("mvn").ok_or(Error::Missing { program: "mvn", install })?;
        let maven = Command::new(maven)
            .args(["--quiet", "--batch-mode", "--strict-checksums", self.goal, "-DoutputDirectory=lib"])
            .current_dir(fresh.path())
            .stdin(Stdio::null())
            .output()
            .map_err(Error::io("cannot start mvn"))?;
        if !maven.status.success() {
            return Err(Error::Fetch { name: self.name, output: log::last_lines(&log::both(&maven)) });
        }
        let replaced = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
        replaced
            .and_then(|()| fs::rename(fresh.path(), folder))
            .map_err(Error::io(format!("cannot make {}", folder.display())))
    }
}

/// A `java` command, to which everything is still to be added.
pub(crate) fn java() -> Result<Command, Error> {
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java")).filter(|java| java.is_file());
    let java = home.or_else(|| in_path("java"));
    let install = "Java 17 or newer (on Debian: apt-get install default-jre-headless)";
    java.map(Command::new).ok_or(Error::Missing { program: "java", install })
}

/// The user's cache folder of tidemill.
fn cache() -> PathBuf {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("tidemill")
}

/// A file in the cache folder that is made where it is missing, to be locked.
pub(crate) fn lock_file(name: &str) -> Result<File, Error> {
    let path = cache().join(name);
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| File::options().create(true).append(true).open(&path))
        .map_err(Error::io(format!("cannot make {}", path.display())))
}

/// A program of this name in the folders of `PATH`.
fn in_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|program| program.is_file())
}
