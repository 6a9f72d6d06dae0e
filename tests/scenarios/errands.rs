//! Instances of a saga that need a person, and what operators do with them.

use std::path::Path;

use serde_json::{Value, json};

use crate::process::{example, refused, run};

/// Errands somewhere.
struct Errands {
    place: Vec<String>,
}

impl Errands {
    fn output(&self, arguments: &[&str]) -> std::process::Output {
        let place = self.place.iter().map(String::as_str);
        run(&example("errands"), &arguments.iter().copied().chain(place).collect::<Vec<_>>())
    }

    fn call(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Has a person help an instance, and the service run until nothing is left to do.
    fn help(&self, arguments: &[&str]) {
        let execute = ["--execute", "--reason", "a test", "--by", "somebody"];
        self.call(&[&["sagas"], arguments, &execute].concat());
        self.call(&["run", "--until-drained"]);
    }

    fn show(&self, key: &str) -> Value {
        serde_json::from_slice(&self.call(&["sagas", "show", key, "--output", "json"])).expect("JSON")
    }

    fn stands(&self, key: &str) -> (Value, Value) {
        let shown = self.show(key);
        (shown["status"].clone(), shown["outcome"].clone())
    }

    /// Instances that nobody fetches: one is tried again, one given up, one ended, one left alone.
    fn run(&self, file: &Path) {
        let path = file.to_string_lossy();
        self.call(&["send", "again", "skipped", "ended", "left", "--file", &path]);
        self.call(&["run", "--until-drained"]);
        let needs_person = (json!("needs-person"), json!(null));
        for key in ["again", "skipped", "ended", "left"] {
            assert_eq!(self.stands(key), needs_person, "{key}");
        }
        assert_eq!(self.show("left")["reason"], "fetch cannot be undone: nobody is there to fetch him");
        let planned = self.call(&["sagas", "skip", "--output", "json"]);
        let planned: Value = serde_json::from_slice(&planned).expect("JSON");
        assert_eq!((&planned["count"], &planned["executed"]), (&json!(4), &json!(false)));
        self.help(&["retry", "again"]);
        assert_eq!(self.stands("again"), needs_person, "the file is still missing");
        std::fs::write(file, "").expect("the folder is ours");
        self.help(&["retry", "again"]);
        self.help(&["skip", "skipped"]);
        self.help(&["finish", "ended", "--outcome", "written off"]);
        assert_eq!(self.stands("again"), (json!("ended"), json!("compensated")));
        assert_eq!(self.stands("skipped"), (json!("ended"), json!("compensated")));
        assert_eq!(self.show("skipped")["skipped"], json!(["fetch"]));
        assert_eq!(self.stands("ended"), (json!("ended"), json!("written off")));
        assert_eq!(self.stands("left"), needs_person);
        let history = self.call(&["sagas", "history", "skipped", "--output", "json"]);
        let history: Value = serde_json::from_slice(&history).expect("JSON");
        let last = history.as_array().and_then(|steps| steps.last()).expect("it has one");
        assert_eq!((&last["event"], &last["to"]), (&json!("saga-skip by somebody"), &json!("skip fetch: a test")));
        refused(&self.output(&["sagas", "retry", "again"]), 3, &["TM-0409", "no instance of key again needs a person"]);
        let graph = run(&example("errands"), &["sagas", "graph", "other"]);
        refused(&graph, 2, &["TM-0104", "there is no saga other here; there are errand"]);
    }
}

#[test]
fn a_person_helps_instances_in_a_directory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    Errands { place: vec!["--broker".to_owned(), broker] }.run(&folder.path().join("file"));
}

#[test]
fn a_person_helps_instances_on_kafka() {
    let kafka = devkit::kafka::own_for_tests("errands on Kafka", &devkit::kafka::Options::default());
    let Some(kafka) = kafka else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("kafka://{}", kafka.address());
    Errands { place: vec!["--broker".to_owned(), broker] }.run(&folder.path().join("file"));
}
