//! The program `devkit`.

use std::path::Path;
use std::process::{Command, Output};

use devkit::kafka;

fn devkit(folder: &Path, arguments: &[&str]) -> Output {
    let (command, rest) = arguments.split_first().expect("there is a command");
    let mut program = Command::new(env!("CARGO_BIN_EXE_devkit"));
    program.args(["kafka", command, "--data"]).arg(folder).args(rest);
    program.output().expect("the program is built with its tests")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn it_starts_in_the_background_and_stops() {
    if kafka::for_tests("the program devkit").is_none() {
        return;
    }
    let place = tempfile::tempdir().expect("a folder can be made");
    let folder = place.path().join("kafka");
    let status = devkit(&folder, &["status"]);
    assert_eq!((code(&status), status.stdout.len()), (Some(5), 0), "{status:?}");

    let started = devkit(&folder, &["start", "--port", "0", "--set", "num.io.threads=2"]);
    assert_eq!(code(&started), Some(0), "{started:?}");
    let address = String::from_utf8_lossy(&started.stdout).trim().to_owned();
    std::net::TcpStream::connect(&address).expect("it goes on without the program that started it");
    assert_eq!(devkit(&folder, &["status"]).stdout, started.stdout);
    let again = devkit(&folder, &["start", "--port", "0"]);
    assert_eq!(code(&again), Some(3), "{again:?}");

    let tool = devkit(&folder, &["tool", "topics", "--create", "--topic", "kept"]);
    assert_eq!(code(&tool), Some(0), "{tool:?}");
    let tool = devkit(&folder, &["tool", "topics", "--create", "--topic", "kept"]);
    assert_ne!(code(&tool), Some(0), "a tool's own exit code is told: {tool:?}");
    let tool = devkit(&folder, &["tool", "unheard-of"]);
    assert_eq!(code(&tool), Some(2), "{tool:?}");

    let stopped = devkit(&folder, &["stop"]);
    assert_eq!(code(&stopped), Some(0), "{stopped:?}");
    std::net::TcpStream::connect(&address).expect_err("nobody listens");
    assert_eq!(code(&devkit(&folder, &["status"])), Some(5));
    assert_eq!(code(&devkit(&folder, &["stop"])), Some(0), "there is nothing to stop, and it is stopped");
}

#[test]
fn what_is_not_installed_is_named() {
    let place = tempfile::tempdir().expect("a folder can be made");
    let run = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_devkit"));
        program.args(["kafka", "tool", "topics", "--bootstrap-server", "127.0.0.1:1"]);
        program.env("PATH", place.path()).env("XDG_CACHE_HOME", place.path()).env_remove("JAVA_HOME");
        program.output().expect("the program is built with its tests")
    };
    let without_java = run();
    assert_eq!(code(&without_java), Some(3), "{without_java:?}");
    assert!(String::from_utf8_lossy(&without_java.stderr).contains("java is not installed"), "{without_java:?}");

    std::fs::write(place.path().join("java"), "").expect("the folder is ours");
    let without_maven = run();
    assert_eq!(code(&without_maven), Some(3), "{without_maven:?}");
    assert!(String::from_utf8_lossy(&without_maven.stderr).contains("mvn is not installed"), "{without_maven:?}");
}
