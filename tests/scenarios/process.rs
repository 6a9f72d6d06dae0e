//! Building the workspace's programs and running them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a folder of the root")
}

/// The real data, where it is at hand: it is not part of the repository.
pub(crate) fn real_data() -> Option<PathBuf> {
    let path = root().join("../shared/data/online-retail.csv.gz");
    let found = path.exists().then_some(path);
    if found.is_none() {
        eprintln!("SKIPPED: the Online Retail data is not beside the repository; generated data is used alone");
    }
    found
}

/// The packages whose programs are run. They are built together: each by itself would have dependencies with other features, and all
/// of those built once more.
const PACKAGES: [&str; 8] = ["checkout", "inventory", "orders", "payments", "sales", "shipping", "shop", "storefront"];

/// The release build of a program of the workspace, built once in a test run.
pub(crate) fn program(name: &str) -> PathBuf {
    let packages = PACKAGES.iter().flat_map(|package| ["-p", package]);
    built(name, &std::iter::once("--bins").chain(packages).collect::<Vec<_>>())
}

/// The release build of one of this package's own programs, which stand below `programs/`.
pub(crate) fn example(name: &str) -> PathBuf {
    built(name, &["--example", name, "-p", env!("CARGO_PKG_NAME")])
}

fn built(name: &str, arguments: &[&str]) -> PathBuf {
    static BUILT: OnceLock<Mutex<BTreeMap<String, PathBuf>>> = OnceLock::new();
    let built = BUILT.get_or_init(Mutex::default);
    let mut built = built.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    built.entry(name.to_owned()).or_insert_with(|| build(name, arguments)).clone()
}

fn build(name: &str, arguments: &[&str]) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--message-format=json"])
        .args(arguments)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "building {name} failed");
    let executable = output.stdout.split(|byte| *byte == b'\n').find_map(|line| {
        let message: Value = serde_json::from_slice(line).ok()?;
        let is_it = message["target"]["name"] == name && message["executable"].is_string();
        is_it.then(|| PathBuf::from(message["executable"].as_str().unwrap_or_default()))
    });
    executable.expect("cargo names the executable")
}

/// A command in the repository's root, without the caller's tidemill settings.
pub(crate) fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEMILL_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a program to its end.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Output {
    command(program, arguments).output().expect("the program can be started")
}

/// A program ended with this exit code, a code of ours, and these words, in one error.
pub(crate) fn refused(output: &Output, exit: i32, words: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{words:?}: {errors}");
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("error TM-")).collect();
    assert_eq!(lines.len(), 1, "{errors}");
    for word in words {
        assert!(lines[0].contains(word), "it does not say {word:?}: {errors}");
    }
}

/// Runs a program that has to end well and prints one JSON object.
pub(crate) fn run_json(program: &Path, arguments: &[&str]) -> Value {
    let output = run(program, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} ended with {}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?} printed no JSON: {error}"))
}

/// How a program ended that had a limit.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) errors: String,
}

/// Runs a program that has to end by itself within `limit`.
pub(crate) fn run_for(program: &Path, arguments: &[&str], limit: Duration) -> Ended {
    let mut child = start(program, arguments);
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            break status;
        }
        if begun.elapsed() > limit {
            child.kill().expect("the child is ours");
            child.wait().expect("the child is ours");
            panic!("{arguments:?} did not end within {limit:?}: {}", errors_of(&mut child));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Ended { code: status.code(), errors: errors_of(&mut child) }
}

/// Starts a program and leaves it running, its output kept quiet.
pub(crate) fn start(program: &Path, arguments: &[&str]) -> Child {
    command(program, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started")
}

/// Waits until a started program says this in a line on stderr.
pub(crate) fn until_said(child: &mut Child, what: &str) {
    let mut said = Vec::new();
    let stderr = child.stderr.as_mut().expect("it is piped");
    while !String::from_utf8_lossy(&said).contains(what) {
        let mut byte = [0];
        let count = stderr.read(&mut byte).expect("the child is ours");
        assert!(count > 0, "it ended and never said {what:?}: {}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
}

/// What a started program said on stderr, once it ended.
pub(crate) fn errors_of(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut text).expect("stderr is text");
    }
    text
}

/// Sends a signal by its name, such as `TERM`.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill can be started").success(), "kill -{name} failed");
}

/// The report without what differs from run to run.
pub(crate) fn totals_of(mut report: Value) -> Value {
    let object = report.as_object_mut().expect("the report is an object");
    object.remove("elapsed_seconds").expect("the report names the time");
    object.remove("events").expect("the report names the events");
    for part in ["checkout", "checkout_reasons"] {
        object.remove(part).expect("the report tells what orders came to");
    }
    report
}
