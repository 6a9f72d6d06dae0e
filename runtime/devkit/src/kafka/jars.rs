//! Kafka's jars: fetched once by Maven into the user's cache folder, and used from there by everybody.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::Error;
use super::log;

/// What Maven has to bring.
const POM: &str = include_str!("pom.xml");
/// The folder of the jars in the cache.
const FOLDER: &str = "kafka-4.3.1";
/// The goal of Maven that copies jars into a folder; with its version, so that it does the same everywhere.
const GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Makes a Java that ends soon start in half the time, and keeps its log out of what it prints: tools say by themselves what went
/// wrong.
const SHORT_LIVED: &[&str] = &["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=OFF"];

/// A `java` command for a class that does its work and ends.
pub(super) fn short_lived(class: &str) -> Result<Command, Error> {
    let mut java = java()?;
    java.args(SHORT_LIVED).arg(class);
    Ok(java)
}

/// A `java` command with all jars on its class path, to which options and a class are still to be added.
pub(super) fn java() -> Result<Command, Error> {
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java")).filter(|java| java.is_file());
    let java = home.or_else(|| in_path("java"));
    let install = "Java 17 or newer (on Debian: apt-get install default-jre-headless)";
    let mut java = Command::new(java.ok_or(Error::Missing { program: "java", install })?);
    java.arg("-cp").arg(fetched()?.join("*"));
    Ok(java)
}

/// The user's cache folder of tidemill.
pub(super) fn cache() -> PathBuf {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("tidemill")
}

/// A file in the cache folder that is made where it is missing, to be locked.
pub(super) fn lock_file(name: &str) -> Result<File, Error> {
    let path = cache().join(name);
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| File::options().create(true).append(true).open(&path))
        .map_err(Error::io(format!("cannot make {}", path.display())))
}

/// The folder of the jars, after they were fetched if they have to be. One process fetches; others wait for it.
fn fetched() -> Result<PathBuf, Error> {
    let folder = cache().join(FOLDER);
    if !is_complete(&folder) {
        let lock = lock_file(&format!("{FOLDER}.lock"))?;
        lock.lock().map_err(Error::io("cannot lock the folder of Kafka's jars"))?;
        if !is_complete(&folder) {
            fetch(&folder)?;
        }
    }
    Ok(folder.join("lib"))
}

/// Whether the folder was made for the list of jars that this build wants: it appears whole or not at all.
fn is_complete(folder: &Path) -> bool {
    fs::read_to_string(folder.join("pom.xml")).is_ok_and(|pom| pom == POM)
}

fn fetch(folder: &Path) -> Result<(), Error> {
    let fresh = tempfile::Builder::new().prefix("fetching-").tempdir_in(cache());
    let fresh = fresh.map_err(Error::io("cannot make a folder for Kafka's jars"))?;
    fs::write(fresh.path().join("pom.xml"), POM).map_err(Error::io("cannot write the list of Kafka's jars"))?;
    let install = "Maven (on Debian: apt-get install maven)";
    let maven = in_path("mvn").ok_or(Error::Missing { program: "mvn", install })?;
    let maven = Command::new(maven)
        .args(["--quiet", "--batch-mode", "--strict-checksums", GOAL, "-DoutputDirectory=lib"])
        .current_dir(fresh.path())
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("cannot start mvn"))?;
    if !maven.status.success() {
        return Err(Error::Fetch { output: log::last_lines(&log::both(&maven)) });
    }
    let replaced = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    replaced
        .and_then(|()| fs::rename(fresh.path(), folder))
        .map_err(Error::io(format!("cannot make {}", folder.display())))
}

/// A program of this name in the folders of `PATH`.
fn in_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|program| program.is_file())
}
