//! A real schema registry, started, killed, restarted and stopped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use devkit::registry::{self, Registry};

/// Sends one request and answers what came back, its head included.
fn ask(url: &str, method: &str, path: &str, body: &str) -> String {
    let (host, base) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL with a path");
    let mut stream = TcpStream::connect(host).expect("it listens");
    let length = body.len();
    let head = format!("{method} /{base}{path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n");
    let kind = "Content-Type: application/vnd.schemaregistry.v1+json\r\n";
    write!(stream, "{head}{kind}\r\n{body}").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

fn subjects(url: &str) -> String {
    ask(url, "GET", "/subjects", "")
}

fn register(url: &str, subject: &str) {
    let answer = ask(url, "POST", &format!("/subjects/{subject}/versions"), r#"{"schema": "\"int\""}"#);
    assert!(answer.contains("\"id\":"), "{answer}");
}

fn is_gone(registry: &Registry) -> bool {
    let host = registry.url().replace("http://", "").replace("/apis/ccompat/v7", "");
    TcpStream::connect(host).is_err()
}

#[test]
fn what_it_holds_and_where_it_is_outlive_a_crash_and_a_stop() {
    let Some(mut registry) = registry::own_for_tests("killing a registry") else { return };
    let url = registry.url();
    register(&url, "kept-value");
    registry.stop().expect("it stops when told");
    assert!(is_gone(&registry));
    registry.restart().expect("it starts after a stop");
    assert_eq!(registry.url(), url);
    assert!(subjects(&url).contains("kept-value"), "{}", subjects(&url));
    registry.kill();
    assert!(is_gone(&registry));
    assert_eq!(registry.process_id(), None);
    registry.restart().expect("it starts over the data of a crash");
    assert!(subjects(&url).contains("kept-value"), "{}", subjects(&url));

    let folder = registry.folder().to_owned();
    drop(registry);
    assert!(!folder.exists(), "{} is left", folder.display());
}

fn devkit(folder: &Path, arguments: &[&str]) -> Output {
    let (command, rest) = arguments.split_first().expect("there is a command");
    let mut program = Command::new(env!("CARGO_BIN_EXE_devkit"));
    program.args(["registry", command, "--data"]).arg(folder).args(rest);
    program.output().expect("the program is built with its tests")
}

#[test]
fn the_program_starts_it_in_the_background_and_stops_it() {
    if registry::own_for_tests("the program devkit with a registry").is_none() {
        return;
    }
    let place = tempfile::tempdir().expect("a folder can be made");
    let folder = place.path().join("registry");
    let status = devkit(&folder, &["status"]);
    assert_eq!((status.status.code(), status.stdout.len()), (Some(5), 0), "{status:?}");

    let started = devkit(&folder, &["start", "--port", "0"]);
    assert_eq!(started.status.code(), Some(0), "{started:?}");
    let url = String::from_utf8_lossy(&started.stdout).trim().to_owned();
    assert!(subjects(&url).contains("200"), "it goes on without the program that started it");
    assert_eq!(devkit(&folder, &["status"]).stdout, started.stdout);
    let again = devkit(&folder, &["start", "--port", "0"]);
    assert_eq!(again.status.code(), Some(3), "{again:?}");

    let stopped = devkit(&folder, &["stop"]);
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    assert_eq!(devkit(&folder, &["status"]).status.code(), Some(5));
    assert_eq!(devkit(&folder, &["stop"]).status.code(), Some(0), "there is nothing to stop, and it is stopped");
}
