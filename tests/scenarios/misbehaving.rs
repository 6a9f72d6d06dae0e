//! Handlers that break the rules: their service stops and names them, others in the process go on, nothing is lost.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Ended, example, run, run_for, run_json};

/// As many as the program publishes.
const ALL: i64 = 200_000;
/// No run takes longer, on the slowest machine.
const LIMIT: Duration = Duration::from_mins(1);

/// A directory with numbers in it, and the program that reads them.
struct Stage {
    program: PathBuf,
    broker: String,
    _folder: TempDir,
}

impl Stage {
    fn fed() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let broker = format!("embedded:{}", folder.path().join("numbers").display());
        let stage = Self { program: example("misbehave"), broker, _folder: folder };
        let fed = run(&stage.program, &stage.arguments(&["feed"]));
        assert!(fed.status.success(), "{}", String::from_utf8_lossy(&fed.stderr));
        stage
    }

    fn arguments<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        [command, &["--broker", &self.broker, "--store", "fjall"]].concat()
    }

    fn run(&self, how: &str, more: &[&str]) -> Ended {
        run_for(&self.program, &self.arguments(&[&["run", how], more].concat()), LIMIT)
    }

    fn counts(&self) -> Value {
        run_json(&self.program, &self.arguments(&["report"]))
    }

    /// The same service, mended, goes on where it stopped: nothing lost, nothing twice.
    fn mended(&self) {
        let ended = self.run("well", &[]);
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        assert_eq!(self.counts(), json!({ "moody": ALL, "steady": ALL }));
    }
}

/// The service stops with TM-0501; the other one finishes its work.
fn stops_alone(how: &str, said: &str) {
    let stage = Stage::fed();
    let ended = stage.run(how, &[]);
    let errors = &ended.errors;
    assert_eq!(ended.code, Some(1), "{how}: {errors}");
    for words in ["TM-0501", "handler count", "numbers-", said] {
        assert!(errors.contains(words), "{how} does not say {words:?}: {errors}");
    }
    let counts = stage.counts();
    assert_eq!(counts["steady"], json!(ALL), "{how}: the other service did not finish");
    assert!(counts["moody"].as_i64().is_some_and(|count| count < ALL), "{how}: {counts}");
    stage.mended();
}

#[test]
fn a_handler_that_panics_stops_its_service_alone() {
    stops_alone("panic", "this handler was told to panic");
}

#[test]
fn a_handler_that_waits_for_ever_meets_its_time_out() {
    stops_alone("wait", "did not end within");
}

#[test]
fn an_event_that_is_not_declared_is_refused() {
    stops_alone("undeclared", "tests.undeclared is not declared");
}

#[test]
fn a_handler_that_blocks_its_thread_is_named_and_ends_the_process() {
    let stage = Stage::fed();
    let ended = stage.run("block", &["--set", "watchdog=500ms"]);
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    for words in ["TM-0502", "count", "moody"] {
        assert!(ended.errors.contains(words), "it does not say {words:?}: {}", ended.errors);
    }
    stage.mended();
}
