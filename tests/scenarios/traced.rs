//! One event of the shop is followed, and one unit taken out of it: into a file, under a debugger, into a test of somebody's package.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::own_crate;
use crate::process::{program, refused, run, run_json};

const QUIET: [&str; 2] = ["--set", "log.level=warn"];
const FAULTS: [&str; 2] = ["--faults", "7"];

/// A run of the shop in which the bank fails.
struct Ran {
    folder: TempDir,
    broker: String,
}

impl Ran {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let broker = format!("embedded:{}", folder.path().join("log").display());
        let ran = Self { folder, broker };
        ran.json(&["--lines", "20000", "--output", "json"]);
        ran
    }

    fn with<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--broker", &self.broker], &FAULTS, &QUIET].concat()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        run_json(&program("shop"), &self.with(arguments))
    }

    fn refused(&self, arguments: &[&str], exit: i32, words: &[&str]) {
        refused(&run(&program("shop"), &self.with(arguments)), exit, words);
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A case of `payments` in a file of its own.
    fn captured(&self, which: &str, name: &str) -> (String, Value) {
        let file = self.file(name);
        let captured =
            self.json(&["capture", "--service", "payments", "--where", which, "--into", &file, "--output", "json"]);
        (file, captured)
    }
}

/// All events of a journey, the first ones first.
fn events(of: &Value) -> Vec<&Value> {
    let list = |value: &'static str, of: &Value| of[value].as_array().map_or(0, Vec::len);
    let mut all = Vec::new();
    for place in 0..list("events", of) {
        let event = &of["events"][place];
        all.push(event);
        for unit in 0..list("units", event) {
            all.extend(events(&event["units"][unit]));
            for timer in 0..list("timers", &event["units"][unit]) {
                all.extend(events(&event["units"][unit]["timers"][timer]));
            }
        }
    }
    all
}

#[test]
fn an_event_is_followed_through_all_services() {
    let ran = Ran::new();
    let parked = ran.json(&["replay", "--service", "payments", "--where", "state = parked", "--output", "json"]);
    let unit = &parked["units"][0];
    let (id, key) = (unit["id"].as_str().expect("text"), unit["key"].as_str().expect("text"));
    let journey = ran.json(&["journey", id, "--output", "json"]);
    let all = events(&journey);
    let asked: Vec<_> = all.iter().filter(|event| event["is_asked"] == json!(true)).collect();
    let [asked] = asked[..] else { panic!("it is there once: {asked:?}") };
    assert_eq!((&asked["type"], &asked["position"]), (&json!("shop.order-placed"), &unit["position"]));
    let by = |service: &str, handler: &str| {
        let units = asked["units"].as_array().expect("a list").iter();
        let mut its = units.filter(|unit| (&unit["service"], &unit["handler"]) == (&json!(service), &json!(handler)));
        its.next().unwrap_or_else(|| panic!("{service} took it: {asked}"))
    };
    let endings = |unit: &Value| -> Vec<String> {
        unit["turns"].as_array().expect("a list").iter().map(|turn| turn["ended"].to_string()).collect()
    };
    let charged = endings(by("payments", "charges"));
    assert!(charged.len() > 1 && charged[0].contains("parked"), "{charged:?}");
    assert_eq!(endings(by("inventory", "items")), ["\"done\""]);
    // Each event that is emitted stands below the unit that emitted it, to the end of the process.
    let types: Vec<_> = all.iter().filter(|event| event["key"] == json!(key)).map(|event| &event["type"]).collect();
    for wanted in ["shop.invoice-closed", "shop.order-placed", "shop.stock-reserved"] {
        assert!(types.contains(&&json!(wanted)), "{wanted} is not among {types:?}");
    }
    assert_eq!(journey["events"].as_array().map(Vec::len), Some(1), "what belongs together has one beginning");
    // By what they have in common it is the same.
    let correlation = journey["correlation"].as_str().expect("text");
    let same = ran.json(&["journey", correlation, "--output", "json"]);
    assert_eq!(events(&same).len(), all.len());
    ran.refused(&["journey", "nobody"], 3, &["TM-0409", "no event of id nobody"]);
    ran.refused(&["journey", id, "--from", "3"], 2, &["TM-0102", "at times"]);
    ran.refused(&["journey", id, "--from", "@2099-01-01"], 3, &["TM-0409"]);
}

#[test]
fn a_redriven_letter_is_found_with_what_became_of_it() {
    let ran = Ran::new();
    let letters = ran.json(&["dead-letters", "list", "--where", "code = TM-0501", "--output", "json"]);
    let (letter, key) = (letters[0]["id"].as_str().expect("text"), letters[0]["key"].clone());
    let reason = "the bank was asked";
    let sent = [&["dead-letters", "redrive", letter, "--reason", reason, "--execute"][..], &["--broker", &ran.broker]];
    assert!(run(&program("shop"), &sent.concat()).status.success());
    // Without the bank's faults.
    let again = ["run", "--until-drained", "--broker", ran.broker.as_str(), QUIET[0], QUIET[1]];
    assert!(run(&program("shop"), &again).status.success());
    let units = ran.json(&["replay", "--service", "payments", "--where", "code = TM-0501", "--output", "json"]);
    let unit = units["units"].as_array().expect("a list").iter().find(|unit| unit["key"] == key).expect("it failed");
    let journey = ran.json(&["journey", unit["id"].as_str().expect("text"), "--output", "json"]);
    let all = events(&journey);
    let of = |kind: &str| all.iter().find(|event| event["kind"] == json!(kind)).unwrap_or_else(|| panic!("{kind}"));
    assert_eq!((&of("dead-letter")["letter"], &of("dead-letter")["code"]), (&json!(letter), &json!("TM-0501")));
    let redrive = of("command");
    assert_eq!((&redrive["wish"], &redrive["reason"]), (&json!("redrive"), &json!(reason)));
    let turns = redrive["units"][0]["turns"].as_array().expect("a list");
    assert_eq!(turns.last().map(|turn| &turn["ended"]), Some(&json!("done")), "{redrive}");
}

#[test]
fn a_failing_unit_fails_again_from_a_file_alone() {
    let ran = Ran::new();
    let (file, captured) = ran.captured("code = TM-0501", "refused.json");
    assert_eq!(captured["then"], json!("dead-lettered (TM-0501)"));
    let debug = |file: &str, more: &[&str]| {
        let output = run(&program("shop"), &[&["debug", file, "--output", "json"], more, &QUIET[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
        (output.status.code(), shown)
    };
    let (code, unit) = debug(&file, &FAULTS);
    assert_eq!(code, Some(1));
    assert!(unit["failure"].as_str().is_some_and(|failure| failure.contains("the card is refused")), "{unit}");
    let (code, mended) = debug(&file, &[]);
    assert_eq!((code, &mended["failure"]), (Some(0), &Value::Null));
    // A replay of all tells the same of it.
    let without = ["replay", "--diff", "--service", "payments", "--output", "json", "--broker", &ran.broker];
    let compared = run(&program("shop"), &[&without[..], &QUIET].concat());
    let compared: Value = serde_json::from_slice(&compared.stdout).expect("JSON");
    assert!(compared["mended"].as_u64() > Some(0) && compared["failing"] == json!(0), "{compared}");

    // The same as a test of somebody's package, which fails as long as the bank does.
    let package = tempfile::tempdir().expect("a folder");
    own_crate::make(package.path(), &[("payments", "handlers/payments")]);
    let tests = package.path().join("tests").display().to_string();
    let testcase = |file: &str, make: &str, more: &[&str]| {
        let arguments = [&["testcase", file, "--into", &tests, "--make", make][..], more, &FAULTS, &QUIET].concat();
        let output = run(&program("shop"), &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let written = String::from_utf8(output.stdout).expect("text");
        let test = Path::new(written.lines().next().expect("a path")).to_path_buf();
        test.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned()
    };
    let refused_test = testcase(&file, "payments::service(Some(7))", &[]);
    let (output, text) = own_crate::test(package.path(), &refused_test);
    assert!(!output.status.success() && text.contains("the card is refused"), "{text}");
    ran.refused(&["testcase", &file, "--into", &tests], 3, &["TM-0203", "--force"]);
    assert_eq!(testcase(&file, "payments::service(None)", &["--force"]), refused_test);
    let (output, text) = own_crate::test(package.path(), &refused_test);
    assert!(output.status.success(), "{text}");
}

#[test]
fn units_of_all_kinds_run_from_a_file_as_they_did() {
    let ran = Ran::new();
    for (service, which) in [
        ("orders", "type = shop.invoice-closed"),
        ("payments", "attempts > 3 and state = done"),
        ("checkout", "topic = checkout.timers"),
        ("checkout", "type = shop.stock-reserved"),
    ] {
        let file = ran.file("case.json");
        ran.json(&["capture", "--service", service, "--where", which, "--into", &file, "--output", "json"]);
        let alone = run_json(&program("shop"), &[&["debug", &file, "--output", "json"][..], &FAULTS, &QUIET].concat());
        let replayed = ["replay", "--service", service, "--where", which, "--limit", "1", "--output", "json"];
        let replayed = ran.json(&replayed);
        for name in ["position", "at", "attempt", "key", "value", "state", "emitted", "timers"] {
            assert_eq!(alone[name], replayed["units"][0][name], "{name} of {service} where {which}");
        }
    }
    let closed = ran.json(&[
        "replay",
        "--service",
        "orders",
        "--where",
        "type = shop.invoice-closed",
        "--limit",
        "1",
        "--output",
        "json",
    ]);
    let key = closed["units"][0]["key"].as_str().expect("text");
    let history = ran.json(&["history", "--key", key, "--output", "json"]);
    let of = |service: &str| history.as_array().expect("a list").iter().find(|of| of["service"] == json!(service));
    let units = of("orders").and_then(|of| of["units"].as_array()).expect("orders had it");
    assert_eq!(units.last().map(|unit| &unit["emitted"]), Some(&closed["units"][0]["emitted"]));
    assert!(of("checkout").is_some() && of("sales").is_some());
    ran.refused(&["history", "--key", "nobody"], 3, &["TM-0409", "key nobody"]);
}

#[test]
fn a_case_that_cannot_be_used_says_why() {
    let ran = Ran::new();
    let (file, _) = ran.captured("state = done", "case.json");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let path = ran.file("changed.json");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("a file of the test");
        path
    };
    ran.refused(&["debug", &ran.file("none.json")], 3, &["TM-0904", "none.json"]);
    ran.refused(&["debug", &changed("\"format\": 1", "\"format\": 9")], 3, &["TM-0904", "format 9", "format 1"]);
    ran.refused(
        &["debug", &changed("\"service\": \"payments\"", "\"service\": \"others\"")],
        3,
        &["TM-0904", "others"],
    );
    ran.refused(&["debug", &changed("\"at\": \"", "\"at\": \"x")], 3, &["TM-0904", "is no time"]);
    ran.refused(&["debug", &changed("\"shard\"", "\"shart\"")], 3, &["TM-0904", "shart"]);
    ran.refused(&["capture", "--key", "nobody", "--into", &ran.file("x")], 3, &["TM-0409"]);
    // Several services handle an order: which is meant has to be said.
    let placed = ran.json(&[
        "replay",
        "--service",
        "sales",
        "--where",
        "type = shop.order-placed",
        "--limit",
        "1",
        "--output",
        "json",
    ]);
    let id = placed["units"][0]["id"].as_str().expect("text");
    ran.refused(&["capture", "--event-id", id, "--into", &ran.file("x")], 2, &["TM-0102", "--service"]);
    ran.refused(&["capture", "--event-id", id, "--service", "sales", "--into", "/dev/null/x"], 3, &["TM-0203"]);
}
