//! The shop's checkout on every back end, and on Kafka with instances killed: each order ends once, and the books balance.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kafka::{as_str, until};
use crate::process::{command, example, program, real_data, refused, run, run_json, signal};
use crate::storefront::Running;

/// What the topics tell, by a program that knows nothing of the services. It fails where the books do not balance.
fn ledger(place: &[&str]) -> Value {
    run_json(&example("ledger"), &[place, &["--set", "log.level=warn"]].concat())
}

/// Every order has one ending, and the report says the same as the topics.
fn agree(report: &Value, ledger: &Value) {
    assert!(ledger["orders"].as_u64().expect("a number") > 100, "{ledger}");
    assert_eq!(report["orders"], ledger["orders"]);
    let endings: u64 = ledger["endings"].as_object().expect("an object").values().filter_map(Value::as_u64).sum();
    assert_eq!(json!(endings), ledger["orders"]);
    for (ending, count) in report["checkout"].as_object().expect("an object") {
        assert_eq!(*count, ledger["endings"][ending], "{ending}: {report} {ledger}");
        assert!(count.as_u64().expect("a number") > 0, "no order is {ending}: {report}");
    }
    assert_eq!(report["checkout_reasons"], ledger["reasons"]);
}

#[test]
fn in_memory_every_order_of_the_real_data_ends_and_the_books_balance() {
    let Some(data) = real_data() else { return };
    let data = data.to_string_lossy();
    let report = run_json(&program("shop"), &["--input", &data, "--output", "json", "--set", "log.level=warn"]);
    let ledger = ledger(&["--run", &data, "--broker", "memory:"]);
    assert_eq!(ledger["orders"], json!(22_061));
    agree(&report, &ledger);
}

#[test]
fn in_a_directory_the_books_balance_and_an_order_can_be_followed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let place = ["--broker", broker.as_str()];
    let demo = ["--lines", "40000", "--output", "json", "--set", "log.level=warn"];
    let report = run_json(&program("shop"), &[&demo[..], &place].concat());
    agree(&report, &ledger(&place));
    let sagas = |arguments: &[&str]| {
        run_json(&program("checkout"), &[&["sagas"], arguments, &["--output", "json"], &place].concat())
    };
    let counted = sagas(&["count", "--where", "class = ended"]);
    let confirmed = counted.as_array().expect("a list").iter().find(|group| group["state"] == "confirmed");
    assert_eq!(confirmed.expect("most are")["count"], report["checkout"]["confirmed"]);
    let listed = sagas(&["list", "--where", "message = \"no customer\""]);
    let instance = &listed.as_array().expect("a list")[0];
    assert_eq!((&instance["status"], &instance["outcome"]), (&json!("ended"), &json!("compensated")));
    assert_eq!(instance["undone"], json!(["refund-payment", "release-stock", "tell"]));
    let history = sagas(&["history", instance["key"].as_str().expect("text")]);
    let events: Vec<_> = history.as_array().expect("a list").iter().map(|step| step["event"].as_str()).collect();
    assert_eq!((events[0], events.last().copied()), (Some("shop.order-placed"), Some(Some("undo tell"))));
    assert_eq!(sagas(&["list", "--older-than", "1h"]), json!([]));
    assert_eq!(sagas(&["show", instance["key"].as_str().expect("text")])["key"], instance["key"]);
    let graph = run(&program("checkout"), &["sagas", "graph"]);
    assert!(String::from_utf8_lossy(&graph.stdout).contains("reserving --> paying : shop.stock-reserved"));
    let nobody = run(&program("checkout"), &[&["sagas", "retry"][..], &place].concat());
    refused(&nobody, 3, &["TM-0409", "no instance needs a person"]);
}

#[test]
fn with_state_in_postgres_the_books_balance() {
    let options = devkit::postgres::Options::default();
    let Some(postgres) = devkit::postgres::own_for_tests("the checkout in Postgres", &options) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let url = postgres.url();
    let place = ["--broker", &broker, "--state", &url, "--set", "log.level=warn", "--set", "postgres.connections=4"];
    let shop = |arguments: &[&str]| {
        let output = run(&program("shop"), &[arguments, &place].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    shop(&["database", "migrate"]);
    shop(&["ingest", "--lines", "12000"]);
    let arguments = [&["run"], &place[..]].concat();
    for _ in 0..3 {
        // A directory is read by one process at a time.
        let mut life = start(&arguments);
        std::thread::sleep(Duration::from_secs(2));
        kill(&mut life);
    }
    shop(&["run", "--until-drained"]);
    let report = serde_json::from_slice(&shop(&["report", "--output", "json"])).expect("JSON");
    agree(&report, &ledger(&place));
}

fn start(arguments: &[&str]) -> Child {
    let mut command = command(&program("shop"), arguments);
    command.stdout(std::process::Stdio::null()).spawn().expect("the program can be started")
}

fn kill(life: &mut Child) {
    life.kill().expect("it runs");
    life.wait().expect("the child is ours");
}

#[test]
fn the_storefront_shows_what_became_of_orders() {
    let kafka = devkit::kafka::own_for_tests("orders of the storefront on Kafka", &devkit::kafka::Options::default());
    let postgres = devkit::postgres::own_for_tests("orders in Postgres", &devkit::postgres::Options::default());
    let (Some(kafka), Some(postgres)) = (kafka, postgres) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (broker, url) = (format!("kafka://{}", kafka.address()), postgres.url());
    let (storefront, state) = (program("storefront"), folder.path().join("state").display().to_string());
    let rows = ["--broker", &broker, "--state", &url, "--set", "postgres.connections=4"];
    for command in [["database", "migrate"], ["topics", "create"]] {
        let output = run(&storefront, &[&command[..], &rows].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let created = run(&program("shop"), &["topics", "create", "--broker", &broker]);
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let mut shop = start(&["run", "--broker", &broker, "--state-dir", &state, "--set", "log.level=warn"]);
    let front = Running::start(&storefront, &rows);
    let line = json!({"stock_code": "85123A", "quantity": 6, "unit_price_milli": 2_550});
    let place = |key: &str, customer: Value| {
        let order = json!({"country": "France", "customer": customer, "lines": [line]});
        let (status, placed) = front.place(key, &order);
        assert_eq!((status, placed.get("status")), (201, None), "{placed}");
        placed["id"].as_str().expect("an id").to_owned()
    };
    let (known, unknown) = (place("one", json!("17850")), place("two", json!(null)));
    let shows = |id: &str| {
        let (_, order) = front.get(id);
        (order["status"].as_str().expect("it has one").to_owned(), order["reason"].clone())
    };
    until("both orders have ended", || [&known, &unknown].iter().all(|id| shows(id).0 != "placed"));
    // Whether a carrier takes an order follows from its id, and that from its key.
    assert_eq!(shows(&known), ("confirmed".to_owned(), json!(null)));
    assert_eq!(shows(&unknown), ("declined".to_owned(), json!("no customer")));
    assert_eq!(place("one", json!("17850")), known, "asked again, it is answered as the first time");
    front.stop();
    signal(&shop, "TERM");
    assert!(shop.wait().expect("the child is ours").success());
}

/// How long nobody is killed, and how often somebody is.
const LIFE: Duration = Duration::from_secs(6);
const KILLS: usize = 5;

#[test]
fn on_kafka_the_books_balance_whoever_is_killed() {
    let kafka = devkit::kafka::own_for_tests("the checkout on Kafka", &devkit::kafka::Options::default());
    let Some(kafka) = kafka else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("kafka://{}", kafka.address());
    let settings = ["kafka.session_timeout=6s", "kafka.heartbeat=500ms", "drain=2s", "log.level=warn"];
    let place: Vec<String> = ["--broker", &broker]
        .into_iter()
        .chain(settings.iter().flat_map(|setting| ["--set", *setting]))
        .map(str::to_owned)
        .collect();
    let shop = |arguments: &[&str]| {
        let output = run(&program("shop"), &[arguments, &as_str(&place)].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    shop(&["topics", "create"]);
    let live = |name: &str| {
        let state = folder.path().join(name).display().to_string();
        start(&[&["run", "--state-dir", &state], &as_str(&place)[..]].concat())
    };
    let mut lives = [live("a"), live("b")];
    shop(&["ingest", "--lines", "60000"]);
    let begun = Instant::now();
    for round in 0..KILLS {
        std::thread::sleep(LIFE);
        kill(&mut lives[round % 2]);
        std::thread::sleep(Duration::from_millis(500));
        lives[round % 2] = live(["a", "b"][round % 2]);
    }
    eprintln!("{KILLS} kills in {:?}", begun.elapsed());
    let third = folder.path().join("c").display().to_string();
    shop(&["run", "--until-drained", "--state-dir", &third]);
    for life in &mut lives {
        signal(life, "TERM");
        assert!(life.wait().expect("the child is ours").success());
    }
    let report = serde_json::from_slice(&shop(&["report", "--output", "json"])).expect("JSON");
    agree(&report, &ledger(&as_str(&place)));
}
