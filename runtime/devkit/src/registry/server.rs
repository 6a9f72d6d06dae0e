//! One process of Apicurio Registry.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::java::{self, Bundle};
use crate::part::Part;
use crate::ports::{HOST, Port};

const PROGRAM: Bundle = Bundle {
    name: "the schema registry",
    folder: "apicurio-registry-3.0.9",
    pom: include_str!("pom.xml"),
    // Later ones look at the program's own POM, whose parent not every mirror has.
    goal: "org.apache.maven.plugins:maven-dependency-plugin:2.10:unpack",
};
/// What is run of it.
const RUNNER: &str = "apicurio-registry-app-3.0.9-runner.jar";
/// Where the API of Confluent's registry begins.
const API: &str = "/apis/ccompat/v7";
/// Starts in half the time, and stays small.
const JAVA: &[&str] = &["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"];
/// How long one look may take whether it answers.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// A registry that can be run.
#[derive(Debug)]
pub(super) struct Server {
    folder: PathBuf,
    port: Port,
}

impl Server {
    /// Chooses a port and makes the folder.
    pub(super) fn prepare(port: u16, folder: &Path) -> Result<Self, Error> {
        let folder = std::path::absolute(folder).map_err(Error::io("the current folder is gone"))?;
        fs::create_dir_all(&folder).map_err(Error::io(format!("cannot make {}", folder.display())))?;
        Ok(Self { folder, port: Port::asked(port)? })
    }

    /// Where clients reach it.
    pub(super) fn url(&self) -> String {
        format!("http://{}{API}", self.port.address())
    }
}

impl Part for Server {
    const NAME: &'static str = "the schema registry";
    const WORD: &'static str = "registry";

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self) -> Result<Command, Error> {
        let mut java = java::java()?;
        java.args(JAVA)
            .arg(format!("-Dapicurio.datasource.url=jdbc:h2:file:{}", Self::mark(&self.folder).display()))
            .arg(format!("-Dquarkus.http.host={HOST}"))
            .arg(format!("-Dquarkus.http.port={}", self.port.number()))
            .arg("-jar")
            .arg(PROGRAM.fetched()?.join(RUNNER));
        Ok(java)
    }

    fn is_ready(&self, _said: &str) -> bool {
        let answer = TcpStream::connect(self.port.address()).and_then(|mut stream| {
            stream.set_read_timeout(Some(LOOK_LIMIT))?;
            write!(stream, "GET {API}/subjects HTTP/1.0\r\nHost: {HOST}\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
        answer.is_ok_and(|answer| answer.lines().next().is_some_and(|first| first.contains(" 200 ")))
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.url()]
    }

    /// Where its data lies.
    fn mark(folder: &Path) -> PathBuf {
        folder.join("schemas")
    }
}
