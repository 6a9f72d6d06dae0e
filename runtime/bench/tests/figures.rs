//! The benchmark as a process: what it prints, what it leaves behind, and how it refuses.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value};

/// Enough for several commits, and few enough for a build without optimisation.
const RECORDS: u64 = 20_000;
/// Every figure, as scripts know it.
const KEYS: [&str; 9] = [
    "case",
    "guarantee",
    "records",
    "records_per_second",
    "raw_records_per_second",
    "ratio",
    "cpu_seconds_per_million",
    "allocations_per_record",
    "peak_rss_mb",
];

/// Runs the benchmark in a folder, with `RECORDS` records unless something else is given later.
fn call(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill-bench"));
    command.current_dir(folder).args(["--records", &RECORDS.to_string()]).args(arguments).stdin(Stdio::null());
    command.output().expect("the program starts")
}

/// What it printed, when it exited with this code.
fn data(output: &Output, exit: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "stdout: {out}\nstderr: {err}");
    out.into_owned()
}

/// The figures, checked as far as they do not hang on the machine.
fn figures(folder: &Path, case: &str, arguments: &[&str]) -> Map<String, Value> {
    let output = data(&call(folder, &[arguments, &["--output", "json"]].concat()), 0);
    let figures: Map<String, Value> = serde_json::from_str(&output).expect("one object of JSON and nothing else");
    let mut names: Vec<&str> = figures.keys().map(String::as_str).collect();
    let mut known = KEYS;
    names.sort_unstable();
    known.sort_unstable();
    assert_eq!(names, known);
    assert_eq!((&figures["case"], &figures["guarantee"]), (&case.into(), &"exactly-once".into()));
    assert_eq!(figures["records"], RECORDS);
    let number = |name: &str| figures[name].as_f64().unwrap_or_else(|| panic!("{name} is a number: {output}"));
    for name in ["records_per_second", "raw_records_per_second", "ratio", "allocations_per_record"] {
        assert!(number(name) > 0.0, "{name}: {output}");
    }
    let ratio = number("records_per_second") / number("raw_records_per_second");
    assert!((number("ratio") - ratio).abs() < 0.01, "{output}");
    figures
}

#[test]
fn both_cases_run_in_memory() {
    let folder = tempfile::tempdir().expect("a place for files");
    let passed = figures(folder.path(), "passthrough", &["--broker", "memory:", "passthrough"]);
    let counted = figures(folder.path(), "stateful", &["stateful", "--broker", "memory:"]);
    let allocations = |figures: &Map<String, Value>| figures["allocations_per_record"].as_f64();
    assert!(allocations(&counted) > allocations(&passed), "a decoded event with state asks for more memory");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0, "no file is left");
}

/// Where the process can be looked at.
#[cfg(target_os = "linux")]
#[test]
fn what_the_system_tells_is_plausible() {
    let folder = tempfile::tempdir().expect("a place for files");
    let figures = figures(folder.path(), "passthrough", &["passthrough"]);
    let megabytes = figures["peak_rss_mb"].as_f64().expect("Linux tells the peak");
    // The log holds its records, twice, in one process.
    assert!((2.0..2_000.0).contains(&megabytes), "{megabytes}");
    let seconds = figures["cpu_seconds_per_million"].as_f64().expect("Linux tells the time");
    assert!((0.0..2_000.0).contains(&seconds), "{seconds}");
}

#[test]
fn both_stores_run_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().expect("a place for files");
    for store in ["sled", "fjall"] {
        for case in ["passthrough", "stateful"] {
            figures(folder.path(), case, &["--store", store, case, "--broker", "embedded:logs"]);
        }
    }
    assert_eq!(fs::read_dir(folder.path().join("logs")).expect("it was made").count(), 0);
}

#[test]
fn on_kafka_each_case_has_its_figures() {
    let Some(broker) = devkit::kafka::for_tests("the benchmark on Kafka") else { return };
    let (broker, folder) = (format!("kafka://{broker}"), tempfile::tempdir().expect("a place for files"));
    for case in ["passthrough", "stateful"] {
        let figures = figures(folder.path(), case, &[case, "--broker", &broker]);
        assert_eq!(figures["guarantee"], "exactly-once");
    }
    let output =
        data(&call(folder.path(), &["latency", "--records", "500", "--broker", &broker, "--output", "json"]), 0);
    let latency: Map<String, Value> = serde_json::from_str(&output).expect("JSON");
    assert_eq!(latency["records"], 500);
    for name in ["p50_ms", "p99_ms", "raw_p50_ms", "raw_p99_ms"] {
        assert!(latency[name].as_f64().is_some_and(|millis| millis > 0.0), "{name}: {output}");
    }
    let output = data(&call(folder.path(), &["restore", "--broker", &broker, "--output", "json"]), 0);
    let restored: Map<String, Value> = serde_json::from_str(&output).expect("JSON");
    assert_eq!(restored["records"], RECORDS);
    assert!(
        ["records_per_second", "lost_seconds", "kept_seconds"].iter().all(|name| restored[*name].is_number()),
        "{output}"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0, "no file is left");
}

#[test]
fn a_table_has_a_line_for_each_figure() {
    let folder = tempfile::tempdir().expect("a place for files");
    let output = data(&call(folder.path(), &["passthrough"]), 0);
    let names: Vec<&str> = output.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, KEYS);
}

#[test]
fn usage_errors_exit_2() {
    let folder = tempfile::tempdir().expect("a place for files");
    let wrong: &[&[&str]] = &[
        &[],
        &["sideways"],
        &["latency", "--broker", "memory:"],
        &["restore", "--broker", "memory:"],
        &["passthrough", "stateful"],
        &["passthrough", "--fast"],
        &["passthrough", "--output", "xml"],
        &["passthrough", "--store", "tar", "--broker", "embedded:logs"],
    ];
    for arguments in wrong {
        assert_eq!(data(&call(folder.path(), arguments), 2), "", "{arguments:?}");
    }
    for records in ["0", "-1", "many"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill-bench"));
        let output = command.args(["passthrough", "--records", records]).stdin(Stdio::null()).output();
        assert_eq!(data(&output.expect("the program starts"), 2), "", "{records}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0, "nothing was made");
}

#[test]
fn an_unknown_broker_is_named_with_its_code() {
    let folder = tempfile::tempdir().expect("a place for files");
    for address in ["rabbit:", "kafka://localhost", "embedded:"] {
        let output = call(folder.path(), &["passthrough", "--broker", address]);
        assert_eq!(data(&output, 2), "");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("error TM-0103: ") && text.contains("docs/errors/TM-0103.md"), "{text}");
    }
}
