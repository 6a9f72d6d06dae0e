//! `dead-letters` and `parked`, on a directory that nobody runs on meanwhile.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidemill::codec::Codec;
use tidemill::event::Event;

use crate::{FIXED, LOG, Said, call, data, error, json_of, lag, say, times};

const HOLDS: &str = "services.ear.handlers.listen.failures.permanent.then=hold";

fn run(folder: &Path, settings: &[&str]) {
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    data(&call(folder, &[&["run", LOG[0], LOG[1], "--until-drained"], &settings[..]].concat()), 0);
}

/// What a command about the log prints as JSON.
fn told(folder: &Path, command: &[&str]) -> Value {
    json_of(folder, &[command, &LOG].concat())
}

fn list(folder: &Path, more: &[&str]) -> Vec<Value> {
    let listed = told(folder, &[&["dead-letters", "list"], more].concat());
    listed.as_array().expect("a list").clone()
}

/// The parts of all that is listed, by name.
fn all<'a>(listed: &'a [Value], name: &str) -> Vec<&'a str> {
    let mut all: Vec<&str> = listed.iter().map(|line| line[name].as_str().expect("text")).collect();
    all.sort_unstable();
    all
}

/// The error of a command about the log that was refused.
fn refused(folder: &Path, command: &[&str], code: &str) -> String {
    error(&call(folder, &[command, &LOG].concat()), 3, code)
}

const DOES: [&str; 3] = ["--execute", "--reason", "it is mended"];

pub(crate) fn listed(folder: &Path) {
    say(folder, &["a", "fail", "fail-too", "b"]);
    assert_eq!(list(folder, &[]), Vec::<Value>::new());
    run(folder, &[]);
    let letters = list(folder, &[]);
    assert_eq!(all(&letters, "key"), ["fail", "fail-too"]);
    let letter = letters.iter().find(|letter| letter["key"] == "fail").expect("it is there");
    for (name, value) in [
        ("round", json!(1)),
        ("service", json!("ear")),
        ("handler", json!("listen")),
        ("type", json!("demo.said")),
        ("topic", json!("said")),
        ("attempts", json!(1)),
        ("class", json!("permanent")),
        ("code", json!("TM-0501")),
        ("message", json!("a word that cannot be heard")),
        ("then", json!("continue")),
        ("state", json!("open")),
        ("history", json!([])),
    ] {
        assert_eq!(letter[name], value, "{name}");
    }
    let expected =
        [("key = fail", 1), ("key ~ fail and not key = fail", 1), ("type = demo.heard", 0), ("round < 2", 2)];
    for (filter, found) in expected {
        assert_eq!(list(folder, &["--where", filter]).len(), found, "{filter}");
    }
    let unreadable = call(folder, &["dead-letters", "list", LOG[0], LOG[1], "--where", "key = fail or"]);
    data(&unreadable, 2);
    assert!(String::from_utf8_lossy(&unreadable.stderr).contains("at character 14: a field is expected"));
    let [group] = &list(folder, &["--group-by", "fingerprint"])[..] else { panic!("they failed alike") };
    assert_eq!((&group["count"], &group["code"], &group["handler"]), (&json!(2), &json!("TM-0501"), &json!("listen")));
    let id = letter["id"].as_str().expect("text");
    let shown = told(folder, &["dead-letters", "show", id]);
    assert_eq!((&shown["record"]["key"], &shown["fingerprint"]), (&json!({"text": "fail"}), &group["fingerprint"]));
    let table = data(&call(folder, &["dead-letters", "show", id, LOG[0], LOG[1]]), 0);
    assert!(table.contains("header ce_type: demo.said") && table.contains("TM-0501 (permanent)"), "{table}");
    assert!(refused(folder, &["dead-letters", "show", "nobody"], "TM-0409").contains("nobody"));
    let exported = told(folder, &["dead-letters", "export", "--into", "letters.jsonl"]);
    assert_eq!(exported, json!({"exported": 2, "into": "letters.jsonl"}));
    let lines = std::fs::read_to_string(folder.join("letters.jsonl")).expect("it was written");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.len() == 2 && lines.contains(&shown), "each as it is shown: {lines:?}");
    let table = data(&call(folder, &["dead-letters", "list", LOG[0], LOG[1]]), 0);
    assert!(table.lines().count() == 3 && table.contains("a word that cannot be heard"), "{table}");
}

pub(crate) fn redriven(folder: &Path) {
    say(folder, &["a", "fail", "fail-too"]);
    run(folder, &[]);
    let redrive = ["dead-letters", "redrive", "--where", "code = TM-0501"];
    let planned = told(folder, &redrive);
    assert_eq!((&planned["count"], &planned["keys"], &planned["sent"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!((&planned["executed"], lag(folder)), (&json!(false), 0), "nothing was changed");
    data(&call(folder, &[&redrive[..], &["--execute"], &LOG].concat()), 2);
    assert_eq!(told(folder, &[&redrive[..], &DOES].concat())["sent"], 2);
    assert_eq!(lag(folder), 2, "they wait for the service");
    // Not mended yet: another round of each.
    run(folder, &[]);
    let again = list(folder, &["--where", "round = 2"]);
    assert!(again.len() == 2 && again[0]["history"].as_array().is_some_and(|rounds| rounds.len() == 1), "{again:?}");
    std::fs::write(folder.join(FIXED), "").expect("the folder is ours");
    let id = again[0]["id"].as_str().expect("text");
    assert_eq!(told(folder, &[&["dead-letters", "redrive", id], &DOES[..]].concat())["sent"], 1);
    // Twice, before anybody obeyed.
    assert_eq!(told(folder, &[&redrive[..], &DOES].concat())["sent"], 2);
    run(folder, &[]);
    assert_eq!(times(folder), [1, 1, 1], "each was heard once");
    assert_eq!((list(folder, &[]).len(), all(&list(folder, &["--all"]), "state")), (0, vec!["applied", "applied"]));
    refused(folder, &[&redrive[..], &DOES].concat(), "TM-0409");
    let closed = refused(folder, &[&["dead-letters", "redrive", id], &DOES[..]].concat(), "TM-0409");
    assert!(closed.contains(id), "{closed}");
    assert_eq!(lag(folder), 0);
}

pub(crate) fn edited(folder: &Path) {
    say(folder, &["fail"]);
    run(folder, &[]);
    let id = list(folder, &[])[0]["id"].as_str().expect("text").to_owned();
    let edit = ["dead-letters", "edit", &id, "--value", "value"];
    refused(folder, &edit, "TM-0201");
    std::fs::write(folder.join("value"), "?").expect("the folder is ours");
    let unreadable = refused(folder, &[&edit[..], &DOES].concat(), "TM-0410");
    assert!(unreadable.contains(&id), "{unreadable}");
    let mut value = Vec::new();
    let codec = <<Said as Event>::Codec as Codec<Said>>::open().expect("a schema that fits");
    codec.encode(&Said { word: "well".to_owned() }, &mut value).expect("a plain event");
    std::fs::write(folder.join("value"), &value).expect("the folder is ours");
    let edit = [&edit[..], &["--header", "x-by=me"]].concat();
    let changes = told(folder, &edit)["changes"].clone();
    let changes: Vec<&str> = changes.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(
        changes[0] == "+ header x-by: me" && changes[1].starts_with("- ") && changes[2].starts_with("+ "),
        "{changes:?}"
    );
    assert_eq!(lag(folder), 0, "nothing was changed");
    told(folder, &[&edit[..], &DOES].concat());
    run(folder, &[]);
    assert_eq!((times(folder), all(&list(folder, &["--all"]), "state")), (vec![1], vec!["applied"]));
    data(&call(folder, &["dead-letters", "edit", &id, "--header", "ce_id=other", LOG[0], LOG[1]]), 2);
}

pub(crate) fn discarded(folder: &Path) {
    say(folder, &["fail", "fail-too"]);
    run(folder, &[]);
    let discard = ["dead-letters", "discard", "--where", "key = fail"];
    assert_eq!(told(folder, &discard)["count"], 1);
    assert_eq!(told(folder, &[&discard[..], &DOES].concat())["sent"], 1);
    run(folder, &[]);
    assert_eq!(all(&list(folder, &[]), "key"), ["fail-too"]);
    assert_eq!(all(&list(folder, &["--all"]), "state"), ["discarded", "open"]);
    assert_eq!(all(&list(folder, &["--all", "--where", "state = discarded"]), "key"), ["fail"]);
    refused(folder, &discard, "TM-0409");
    // A copy of the record that fails opens the letter again.
    say(folder, &["fail"]);
    run(folder, &[]);
    assert_eq!(all(&list(folder, &[]), "key"), ["fail", "fail-too"]);
}

pub(crate) fn parked(folder: &Path) {
    say(folder, &["fail", "fail-too"]);
    run(folder, &[HOLDS]);
    say(folder, &["fail#2"]);
    run(folder, &[HOLDS]);
    let parked =
        |more: &[&str]| told(folder, &[&["parked", "list"], more].concat()).as_array().expect("a list").clone();
    let listed = parked(&[]);
    assert_eq!(all(&listed, "key"), ["fail", "fail", "fail-too"]);
    assert_eq!(all(&listed, "waits"), ["behind", "operator", "operator"]);
    let [head] = &parked(&["--where", "key = fail and state = operator"])[..] else { panic!("one is first") };
    let letters = list(folder, &["--where", "key = fail"]);
    assert_eq!((&head["letter"], &head["code"]), (&letters[0]["id"], &json!("TM-0501")));
    let [behind] = &parked(&["--where", "state = behind"])[..] else { panic!("one waits behind it") };
    let behind = behind["id"].as_str().expect("text");
    let shown = told(folder, &["parked", "show", behind]);
    assert_eq!((&shown["waits"], &shown["record"]["key"]), (&json!("behind"), &json!({"text": "fail"})));
    refused(folder, &["parked", "show", "said-0@99"], "TM-0409");
    refused(folder, &["parked", "release", behind], "TM-0409");
    assert_eq!(told(folder, &["parked", "release", "--where", "key = fail"])["count"], 1);
    let too = ["parked", "discard", "--where", "key = fail-too"];
    assert_eq!(told(folder, &[&too[..], &DOES].concat())["sent"], 1);
    std::fs::write(folder.join(FIXED), "").expect("the folder is ours");
    assert_eq!(told(folder, &[&["parked", "release"], &DOES[..]].concat())["sent"], 2);
    run(folder, &[HOLDS]);
    assert_eq!((times(folder), parked(&[])), (vec![2], Vec::new()), "one was given up before it was released");
    assert_eq!(all(&list(folder, &["--all"]), "state"), ["applied", "discarded"]);
    refused(folder, &too, "TM-0409");
}

pub(crate) fn operator(folder: &Path) {
    say(folder, &["fail"]);
    run(folder, &[]);
    let tidemill = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        command.current_dir(folder).args([arguments, &LOG].concat()).stdin(Stdio::null());
        command.output().expect("the program starts")
    };
    error(&tidemill(&["dead-letters", "list"]), 2, "TM-0104");
    error(&tidemill(&["dead-letters", "list", "--service", "nose"]), 3, "TM-0401");
    let listed = data(&tidemill(&["dead-letters", "list", "--service", "ear", "--output", "json"]), 0);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&listed).expect("JSON"), list(folder, &[]));
    let redrive = ["dead-letters", "redrive", "--service", "ear", "--by", "somebody", "--rate", "5/s"];
    data(&tidemill(&[&redrive[..], &DOES].concat()), 0);
    // Nobody runs, so nobody answers.
    let waits = tidemill(&[&redrive[..], &DOES, &["--wait", "100ms"]].concat());
    assert!(data(&waits, 6).contains("sent"), "it was sent all the same");
    assert_eq!(lag(folder), 2);
    data(&tidemill(&["parked", "list", "--service", "ear"]), 0);
    error(&call(folder, &["dead-letters", "list", "--service", "nose", LOG[0], LOG[1]]), 2, "TM-0104");
}
