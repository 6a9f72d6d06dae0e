//! A real Postgres, started, killed, restarted and stopped.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use devkit::postgres::{self, Options, Postgres};

/// Host and port of a URL.
fn host(url: &str) -> &str {
    url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a URL with a user and a database").0
}

fn answers(postgres: &Postgres) -> bool {
    TcpStream::connect(host(&postgres.url())).is_ok()
}

#[test]
fn where_it_is_outlives_a_crash_and_a_stop() {
    let settings = vec![("max_connections".to_owned(), "20".to_owned())];
    let options = Options { settings, ..Options::default() };
    let Some(mut postgres) = postgres::own_for_tests("killing a Postgres", &options) else { return };
    let url = postgres.url();
    assert!(answers(&postgres));
    postgres.stop().expect("it stops when told");
    assert!(!answers(&postgres));
    postgres.restart().expect("it starts after a stop");
    assert_eq!((postgres.url(), answers(&postgres)), (url, true));
    postgres.kill();
    assert_eq!(postgres.process_id(), None);
    postgres.restart().expect("it starts over the data of a crash");
    assert!(answers(&postgres));

    let folder = postgres.folder().to_owned();
    drop(postgres);
    assert!(!folder.exists(), "{} is left", folder.display());
}

/// The process of this server that writes checkpoints, as Linux tells.
fn checkpointer(postgres: &mut Postgres) -> Option<String> {
    let first = postgres.process_id()?;
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
    let is_it = |process: &&str| {
        fs::read_to_string(format!("/proc/{process}/cmdline")).is_ok_and(|line| line.contains("checkpointer"))
    };
    children.split_whitespace().find(is_it).map(str::to_owned)
}

#[test]
fn what_a_crash_left_behind_is_waited_for() {
    let Some(mut postgres) = postgres::own_for_tests("what a Postgres leaves behind", &Options::default()) else {
        return;
    };
    let Some(left) = checkpointer(&mut postgres) else {
        eprintln!("this system does not tell whose child a process is");
        return;
    };
    let shell = |script: &str| {
        let spawned = Command::new("sh").args(["-c", script]).spawn();
        spawned.expect("there is a shell")
    };
    assert!(shell(&format!("kill -s STOP {left}")).wait().expect("it ends").success());
    postgres.kill();
    // It holds the data while the next one starts.
    let mut later = shell(&format!("sleep 0.5; kill -s CONT {left}"));
    postgres.restart().expect("it starts once that is gone");
    assert!(answers(&postgres));
    later.wait().expect("it ends");
}

#[test]
fn a_setting_that_is_none_is_told() {
    let settings = vec![("max_connections".to_owned(), "many".to_owned())];
    if postgres::for_tests("a wrong setting of Postgres").is_none() {
        return;
    }
    let refused = Postgres::start(&Options { settings, ..Options::default() }).expect_err("it does not start");
    assert!(refused.to_string().contains("max_connections"), "{refused}");
}

fn devkit(folder: &Path, arguments: &[&str]) -> Output {
    let (command, rest) = arguments.split_first().expect("there is a command");
    let mut program = Command::new(env!("CARGO_BIN_EXE_devkit"));
    program.args(["postgres", command, "--data"]).arg(folder).args(rest);
    program.output().expect("the program is built with its tests")
}

#[test]
fn the_program_starts_it_in_the_background_and_stops_it() {
    if postgres::for_tests("the program devkit").is_none() {
        return;
    }
    let place = tempfile::tempdir().expect("a folder can be made");
    // Whoever runs it has to come there.
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    let folder = place.path().join("postgres");
    let code = |output: &Output| output.status.code();
    assert_eq!(code(&devkit(&folder, &["status"])), Some(5));
    let started = devkit(&folder, &["start", "--port", "0"]);
    assert_eq!(code(&started), Some(0), "{started:?}");
    let url = String::from_utf8_lossy(&started.stdout).trim().to_owned();
    TcpStream::connect(host(&url)).expect("it goes on without the program that started it");
    assert_eq!(devkit(&folder, &["status"]).stdout, started.stdout);
    assert_eq!(code(&devkit(&folder, &["start", "--port", "0"])), Some(3));
    assert_eq!(code(&devkit(&folder, &["stop"])), Some(0));
    TcpStream::connect(host(&url)).expect_err("nobody listens");
    assert_eq!(code(&devkit(&folder, &["status"])), Some(5));
}
