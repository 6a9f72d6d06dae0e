//! One Postgres: its programs, its data folder, and its process.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{DATABASE, PASSWORD, USER};
use crate::error::Error;
use crate::log;
use crate::part::Part;
use crate::ports::{HOST, Port};
use crate::process::quiet;

/// Where packages put the programs; with Debian they are not on the path.
const PLACES: &[&str] = &["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt"];
/// It refuses to run as root. Whoever of these there is runs it then.
const OTHERS: &[&str] = &["postgres", "nobody"];

/// A server that can be run.
#[derive(Debug)]
pub(super) struct Server {
    folder: PathBuf,
    programs: PathBuf,
    port: Port,
    settings: Vec<(String, String)>,
    /// The user and the group it runs as, where that is not who runs this.
    user: Option<(u32, u32)>,
}

impl Server {
    /// Chooses a port, and makes the data if the folder is new.
    pub(super) fn prepare(port: u16, settings: &[(String, String)], folder: &Path) -> Result<Self, Error> {
        let folder = std::path::absolute(folder).map_err(Error::io("the current folder is gone"))?;
        let cannot = || Error::io(format!("cannot make {}", folder.display()));
        fs::create_dir_all(&folder).map_err(cannot())?;
        let user = if fs::metadata(&folder).map_err(cannot())?.uid() == 0 { other_user() } else { None };
        if let Some((user, group)) = user {
            chown(&folder, Some(user), Some(group)).map_err(cannot())?;
        }
        let server =
            Self { programs: programs()?, port: Port::asked(port)?, settings: settings.to_vec(), user, folder };
        if !Self::mark(&server.folder).join("PG_VERSION").exists() {
            server.make()?;
        }
        Ok(server)
    }

    /// Where clients reach it.
    pub(super) fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@{}/{DATABASE}", self.port.address())
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn make(&self) -> Result<(), Error> {
        let password = self.folder.join("password");
        let written = fs::write(&password, PASSWORD);
        written.map_err(Error::io(format!("cannot write {}", password.display())))?;
        let output = self
            .program("initdb")
            .args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(Self::mark(&self.folder))
            .current_dir(&self.folder)
            .output()
            .map_err(Error::io("cannot start initdb"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Format { name: Self::NAME, output: log::last_lines(&log::both(&output)) })
    }
}

impl Part for Server {
    const NAME: &'static str = "Postgres";
    const WORD: &'static str = "postgres";
    /// It lets clients finish when it is terminated, and waits for them.
    const STOP: &'static str = "INT";
    /// Each connection has a process, which ends some time after the first one was killed; a busy machine takes its time.
    const HELD: Option<&'static str> = Some("pre-existing shared memory block");

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self) -> Result<Command, Error> {
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(Self::mark(&self.folder)).args(["-p", &self.port.number().to_string()]);
        postgres.args(["-c", &format!("listen_addresses={HOST}"), "-c", "unix_socket_directories="]);
        for (name, value) in &self.settings {
            postgres.args(["-c", &format!("{name}={value}")]);
        }
        Ok(postgres)
    }

    fn is_ready(&self, _said: &str) -> bool {
        let mut look = quiet(&self.programs.join("pg_isready").to_string_lossy());
        look.args(["-q", "-h", HOST, "-p", &self.port.number().to_string(), "-d", DATABASE, "-U", USER]);
        look.status().is_ok_and(|status| status.success())
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.url()]
    }

    /// Where its data lies.
    fn mark(folder: &Path) -> PathBuf {
        folder.join("data")
    }
}

/// The folder with the programs of the newest version there is.
fn programs() -> Result<PathBuf, Error> {
    let has_all = |folder: &PathBuf| ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).exists());
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let version = |folder: &PathBuf| {
        let text = folder.to_string_lossy();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap_or(0)
    };
    let packaged = PLACES.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let packaged = packaged.map(|version| version.path().join("bin")).filter(has_all).max_by_key(version);
    std::env::split_paths(&on_path)
        .find(has_all)
        .or(packaged)
        .ok_or(Error::Missing { program: "initdb", install: "PostgreSQL 15 or newer (package postgresql of Debian)" })
}

/// Somebody who is not root: user and group.
fn other_user() -> Option<(u32, u32)> {
    let id = |flag: &str, name: &str| {
        let output = Command::new("id").args([flag, name]).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    OTHERS.iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)))
}
