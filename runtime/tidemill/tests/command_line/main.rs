//! The command line of a service, as a process: what it prints where, and how it exits.
//!
//! The test starts itself again as the service's own program; [`PROGRAM`] tells which of the two it is.

mod letters;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill::config::Configuration;
use tidemill::host::Host;
use tidemill::prelude::*;
use tidemill::publisher::Publication;
use tidemill::query::Query;
use tidemill::time::Timestamp;

/// Set where this process is the service's program. Of the tests' own names, so that it configures nothing.
const PROGRAM: &str = "TIDEMILL_TEST_PROGRAM";
/// How long the program may take to get somewhere, on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// With this file in its folder, the program handles what it failed at before.
const FIXED: &str = "fixed";
/// The file that tells of a handler that waits.
const WAITING: &str = "waiting";

/// Something was said.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "demo.said", version = 1, topic = "said", key = word)]
struct Said {
    word: String,
}

/// It was heard.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "demo.heard", version = 3, topic = "heard", key = word, codec = json)]
struct Heard {
    word: String,
}

/// How often a word was heard.
const TIMES: Cell<u64> = Cell::named("times");

/// Holds the thread for longer than anybody waits.
fn block() {
    let (_nobody, answer) = std::sync::mpsc::sync_channel::<()>(0);
    answer.recv_timeout(PATIENCE).expect_err("nobody answers");
}

/// Says that it is there, by a file, and then nothing for longer than anybody waits.
fn wait() {
    std::fs::write(WAITING, "").expect("the folder is the test's");
    block();
}

async fn listen(said: &Said, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    match said.word.as_str() {
        word if word.starts_with("fail") && !Path::new(FIXED).exists() => {
            return Err(HandlerError::permanent("a word that cannot be heard"));
        }
        // Never answered: blocks the thread until the watchdog ends the process.
        "block" => block(),
        "wait" => cx.blocking(wait).await?,
        _ => {
            let times = cx.get(TIMES).await?.unwrap_or(0) + 1;
            cx.set(TIMES, times);
            cx.emit(Heard { word: said.word.clone() });
        }
    }
    Ok(())
}

fn service() -> ServiceBuilder {
    Service::builder("ear").on::<Said>("listen", listen).emits::<Heard>()
}

/// What is shown, and how.
type Check = (&'static str, fn(&Path));

#[expect(clippy::print_stdout, reason = "it takes the place of a test harness")]
fn main() -> ExitCode {
    if std::env::var_os(PROGRAM).is_some() {
        return tidemill::main(service());
    }
    let checks: &[Check] = &[
        ("usage errors exit 2", usage),
        ("errors are one line with a page", errors),
        ("describe tells what the service is made of", describe),
        ("config show tells values and origins", config_show),
        ("topics are created once, and checked", topics),
        ("in memory, topics are there from the start", memory),
        ("run until drained, then lag is zero", run_until_drained),
        ("reset shows, and then does, what becomes of positions and state", reset),
        ("a failing handler exits 1 and loses nothing", failing),
        ("dead letters are listed, shown and exported", letters::listed),
        ("dead letters are redriven once", letters::redriven),
        ("a dead letter is edited when its handler could read it", letters::edited),
        ("dead letters are discarded", letters::discarded),
        ("parked records are listed, released and discarded", letters::parked),
        ("operators need no handlers", letters::operator),
        ("a blocking handler is named and ends the process", blocking),
        ("SIGTERM drains", terminated),
        ("SIGTERM before everything is done exits 6", terminated_early),
        ("a second signal ends at once", terminated_twice),
    ];
    for (name, check) in checks {
        let folder = tempfile::tempdir().expect("a place for files");
        check(folder.path());
        println!("{name} ... ok");
    }
    ExitCode::SUCCESS
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.current_dir(folder).env(PROGRAM, "1").args(arguments).stdin(Stdio::null());
    command
}

fn call(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the program starts")
}

/// What the program printed, when it exited with this code.
fn data(output: &Output, exit: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "stdout: {out}\nstderr: {err}");
    out.into_owned()
}

/// The program's JSON.
fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let output = call(folder, &[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&data(&output, 0)).expect("JSON and nothing else on standard output")
}

/// The error that the program ended with: one line and where to read on.
fn error(output: &Output, exit: i32, code: &str) -> String {
    assert!(!data(output, exit).contains("error"), "errors are no data");
    let text = String::from_utf8_lossy(&output.stderr);
    let start = text.find("error TM-").unwrap_or_else(|| panic!("no error in: {text}"));
    let lines: Vec<&str> = text[start..].lines().collect();
    assert!(lines[0].starts_with(&format!("error {code}: ")), "{text}");
    assert_eq!(lines[1..], [format!("  see docs/errors/{code}.md")], "{text}");
    lines[0].to_owned()
}

/// Makes the log of the folder with its topics, and says these words. Each is its event's id, with what follows a `#` in it.
fn say(folder: &Path, words: &[&str]) {
    let address = format!("embedded:{}", folder.join("log").display());
    let configuration = Configuration::default().with("broker", &address).expect("text");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut host = Host::open(configuration).expect("nobody else has it");
        host.add(service()).expect("a service");
        host.create_topics(host.topics()).await.expect("a log of ours");
        let mut publisher = host.publisher("/test");
        publisher.declare::<Said>().await.expect("the topic is there");
        for id in words {
            let event = Said { word: id.split('#').next().unwrap_or_default().to_owned() };
            let publication = Publication { event: &event, id, time: Timestamp::from_millis(0) };
            publisher.publish(publication).expect("a plain event");
        }
        publisher.flush().await.expect("there is room");
    });
}

const LOG: [&str; 2] = ["--broker", "embedded:log"];

fn lag(folder: &Path) -> u64 {
    let lines = json_of(folder, &["lag", LOG[0], LOG[1]]);
    lines.as_array().expect("a list").iter().map(|line| line["records"].as_u64().expect("a number")).sum()
}

fn usage(folder: &Path) {
    for arguments in [&["fly"][..], &[], &["run", "--fast"], &["run", "--set", "workers"], &["lag", "--output", "xml"]]
    {
        let output = call(folder, arguments);
        assert_eq!(data(&output, 2), "", "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--help"), "{arguments:?}");
    }
}

fn errors(folder: &Path) {
    let unknown = error(&call(folder, &["run", "--broker", "carrier-pigeon:"]), 2, "TM-0103");
    assert!(unknown.contains("carrier-pigeon:"), "{unknown}");
    error(&call(folder, &["config", "show", "--set", "workrs=1"]), 2, "TM-0101");
    error(&call(folder, &["config", "show", "--set", "workers=none"]), 2, "TM-0102");
    error(&call(folder, &["config", "show", "--config", "none.toml"]), 2, "TM-0105");
    let missing = error(&call(folder, &["run", LOG[0], LOG[1]]), 3, "TM-0401");
    assert!(missing.contains("ear topics create --broker embedded:log"), "{missing}");
}

fn describe(folder: &Path) {
    let found = json_of(folder, &["describe", "--set", "limits.in_flight=5", "--set", "workers=3"]);
    let said = json!({"event": "demo.said", "version": 1, "topic": "said", "content_type": found["handlers"][0]["takes"][0]["content_type"]});
    let heard = json!({"event": "demo.heard", "version": 3, "topic": "heard", "content_type": "application/json"});
    assert_eq!(found["service"], "ear");
    assert_eq!(found["workers"], 3);
    assert_eq!(found["handlers"], json!([{"name": "listen", "takes": [said]}]));
    assert_eq!(found["emits"], json!([heard]));
    assert_eq!(found["limits"]["in_flight"], 5);
    let table = data(&call(folder, &["describe"]), 0);
    assert!(table.contains("listen") && table.contains("demo.heard") && table.contains("commit_interval"), "{table}");
}

fn config_show(folder: &Path) {
    std::fs::write(folder.join("tidemill.toml"), "workers = 2\n[topics]\npartitions = 6").expect("the folder is ours");
    let mut command = command(folder, &["config", "show", "--output", "json", "--broker", "embedded:a"]);
    let output = command.env("TIDEMILL_TOPICS__PARTITIONS", "7").output().expect("the program starts");
    let lines: Vec<Value> = serde_json::from_str(&data(&output, 0)).expect("JSON");
    let line = |key: &str| lines.iter().find(|line| line["key"] == key).expect("a known key");
    assert_eq!((&line("workers")["value"], &line("workers")["origin"]), (&json!("2"), &json!("file tidemill.toml")));
    assert_eq!(line("topics.partitions")["value"], "7");
    assert_eq!(line("topics.partitions")["origin"], "environment TIDEMILL_TOPICS__PARTITIONS");
    assert_eq!(line("broker")["origin"], "flag --broker");
    assert_eq!((&line("watchdog")["value"], &line("watchdog")["origin"]), (&json!("10s"), &json!("default")));
    let table = data(&call(folder, &["config", "show"]), 0);
    assert!(
        table.lines().any(|line| line.split_whitespace().take(4).eq(["workers", "2", "file", "tidemill.toml"])),
        "{table}"
    );
}

fn topics(folder: &Path) {
    let create = ["topics", "create", LOG[0], LOG[1], "--partitions", "2"];
    let planned = json_of(folder, &[&create[..], &["--dry-run"]].concat());
    let lines = |state: &str| {
        let own = [("ear.dead-letters", 2), ("ear.internal", 2), ("ear.journal", 2), ("ear.operations", 1)];
        let all = own.into_iter().chain([("heard", 2), ("said", 2)]);
        let line = |(topic, partitions)| json!({"topic": topic, "partitions": partitions, "state": state});
        Value::from(all.map(line).collect::<Vec<_>>())
    };
    assert_eq!(planned, lines("would be created"));
    for command in [&["topics", "check"][..], &["lag"], &["run"]] {
        error(&call(folder, &[command, &LOG].concat()), 3, "TM-0401");
    }
    assert!(!folder.join("log").exists(), "none of them makes anything");
    assert_eq!(json_of(folder, &create), lines("created"));
    assert_eq!(json_of(folder, &create), lines("exists"));
    let table = data(&call(folder, &["topics", "check", LOG[0], LOG[1]]), 0);
    assert!(table.lines().any(|line| line.split_whitespace().eq(["said", "2", "exists"])), "{table}");
}

fn memory(folder: &Path) {
    data(&call(folder, &["topics", "check"]), 0);
    assert_eq!(json_of(folder, &["lag"]).as_array().map(Vec::len), Some(8), "a line for each partition of both inputs");
    assert_eq!(data(&call(folder, &["run", "--until-drained"]), 0), "");
}

fn run_until_drained(folder: &Path) {
    let words: Vec<String> = (0..100).map(|word| format!("word{word}")).collect();
    say(folder, &words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(lag(folder), 100);
    let output = call(folder, &["run", LOG[0], LOG[1], "--until-drained", "--log", "json"]);
    assert_eq!(data(&output, 0), "", "a run has no data");
    let log = String::from_utf8_lossy(&output.stderr);
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("every line is JSON"));
    assert!(lines.into_iter().any(|line| line["message"] == "records left to do" && line["behind"] == 0), "{log}");
    assert!(!log.contains("word1"), "the log holds no keys: {log}");
    assert_eq!(lag(folder), 0);
}

/// How often each word was heard, as the service keeps it.
fn times(folder: &Path) -> Vec<u64> {
    let address = format!("embedded:{}", folder.join("log").display());
    let configuration = Configuration::default().with("broker", &address).expect("text");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let host = Host::open(configuration).expect("nobody else has it");
        let (mut all, query) = (Vec::new(), Query::new(Arc::clone(host.broker()), "ear"));
        query.cells("listen", TIMES, |_, times| all.push(times)).await.expect("it can be read");
        all
    })
}

fn reset(folder: &Path) {
    let words: Vec<String> = (0..100).map(|word| format!("word{word}")).collect();
    say(folder, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let run = || data(&call(folder, &["run", LOG[0], LOG[1], "--until-drained"]), 0);
    let to = |place, more: &[&'static str]| [&["reset", LOG[0], LOG[1], "--to", place], more].concat();
    run();
    let line = error(&call(folder, &to("earliest", &[])), 3, "TM-0406");
    assert!(line.contains("service ear keeps 100 entries") && line.contains("--drop-state"), "{line}");
    data(&call(folder, &to("yesterday", &[])), 2);
    let sum = |lines: &Value, field: &str| -> u64 {
        lines.as_array().expect("a list").iter().map(|line| line[field].as_u64().expect("a number")).sum()
    };
    let planned = json_of(folder, &to("earliest", &["--state", "drop"]));
    assert_eq!((sum(&planned, "left"), sum(&planned, "left_then"), sum(&planned, "to")), (0, 100, 0));
    assert_eq!((lag(folder), times(folder).len()), (0, 100), "only planned");
    // Begun anew, kept and seen twice, and gone without a second look.
    json_of(folder, &to("earliest", &["--state", "drop", "--execute"]));
    assert_eq!((lag(folder), times(folder).len()), (100, 0));
    run();
    assert_eq!(times(folder), [1; 100]);
    json_of(folder, &to("@1970-01-01T00:00:00Z", &["--state", "keep", "--execute"]));
    run();
    assert_eq!(times(folder), [2; 100]);
    json_of(folder, &to("earliest", &["--state", "drop", "--execute"]));
    json_of(folder, &to("latest", &["--execute"]));
    assert_eq!((lag(folder), times(folder).len()), (0, 0));
}

fn failing(folder: &Path) {
    say(folder, &["a", "fail", "b"]);
    let stops = "services.ear.handlers.listen.failures.permanent.then=stop";
    let output = call(folder, &["run", LOG[0], LOG[1], "--until-drained", "--set", stops]);
    let line = error(&output, 1, "TM-0501");
    assert!(line.contains("listen") && line.contains("a word that cannot be heard"), "{line}");
    assert!((1..=3).contains(&lag(folder)), "the record that failed is still there");
}

fn blocking(folder: &Path) {
    say(folder, &["block"]);
    let output = call(folder, &["run", LOG[0], LOG[1], "--set", "watchdog=200ms"]);
    let line = error(&output, 1, "TM-0502");
    assert!(line.contains("handler listen of service ear") && line.contains("(ear-0)"), "{line}");
    assert_eq!(lag(folder), 1);
}

/// Starts a run over these words and waits until it runs and, if one of them is `wait`, until that one is handled.
fn started(folder: &Path, words: &[&str], settings: &[&str]) -> Child {
    say(folder, words);
    let arguments = [&["run", LOG[0], LOG[1], "--log", "json", "--set", "log.level=debug"], settings].concat();
    let mut child = command(folder, &arguments).stderr(Stdio::piped()).spawn().expect("the program starts");
    read_until(&mut child, "shard started");
    while words.contains(&"wait") && !folder.join(WAITING).exists() {
        assert_eq!(child.try_wait().expect("a child of ours"), None, "it runs");
        std::thread::yield_now();
    }
    child
}

/// Reads the program's log until these words stand in it.
fn read_until(child: &mut Child, words: &str) {
    let log = child.stderr.as_mut().expect("it is piped");
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !String::from_utf8_lossy(&text).contains(words) {
        assert_eq!(log.read(&mut byte).expect("the program runs"), 1, "{}", String::from_utf8_lossy(&text));
        text.extend(byte);
    }
}

fn tell(child: &Child, signal: &str) {
    let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
    assert!(kill.expect("there is a shell").success());
}

fn terminated(folder: &Path) {
    for signal in ["TERM", "INT"] {
        let folder = folder.join(signal);
        std::fs::create_dir(&folder).expect("the folder is ours");
        let child = started(&folder, &["a", "b"], &[]);
        tell(&child, signal);
        let output = child.wait_with_output().expect("it ends");
        data(&output, 0);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("\"stopped\"") && log.contains("records left to do"), "{log}");
    }
}

fn terminated_early(folder: &Path) {
    // The drain interrupts the handler that waits.
    let child = started(folder, &["wait"], &["--until-drained", "--set", "drain=400ms"]);
    tell(&child, "TERM");
    let output = child.wait_with_output().expect("it ends");
    data(&output, 6);
    assert_eq!(lag(folder), 1);
}

fn terminated_twice(folder: &Path) {
    // The drain waits for the handler that waits.
    let mut child = started(folder, &["wait"], &["--set", "drain=60s", "--set", "watchdog=60s"]);
    tell(&child, "TERM");
    read_until(&mut child, "draining");
    tell(&child, "TERM");
    let output = child.wait_with_output().expect("it ends");
    data(&output, 143);
    assert_eq!(lag(folder), 1);
}
