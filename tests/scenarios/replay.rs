//! Replays of what the shop did, by its own programs: the same build finds no difference, a bug is found to the order.

use std::collections::BTreeMap;
use std::fs::File;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::process::{program, real_data, refused, run, run_json};

const QUIET: [&str; 2] = ["--set", "log.level=warn"];

/// How many invoices of the real data have another total where each item is cut to five pence: counted from the file.
fn cut_short(data: &std::path::Path) -> u64 {
    let file = GzDecoder::new(File::open(data).expect("it is there"));
    let mut lines = csv::Reader::from_reader(file);
    let titles = lines.headers().expect("a line of titles").clone();
    let column = |name: &str| titles.iter().position(|title| title == name).expect("a column of the data");
    let (invoice, quantity, price) = (column("InvoiceNo"), column("Quantity"), column("UnitPrice"));
    let mut differs = BTreeMap::<String, bool>::new();
    for line in lines.byte_records() {
        let line = line.expect("a line of the data");
        let text = |column: usize| std::str::from_utf8(&line[column]).expect("numbers are ASCII").trim().to_owned();
        // In thousandths of a pound, by the text alone.
        let price = text(price);
        let (whole, part) = price.split_once('.').unwrap_or((&price, ""));
        let (Ok(whole), Ok(quantity)) = (whole.parse::<i64>(), text(quantity).parse::<i64>()) else { continue };
        let part: i64 = format!("{part:0<3}")[..3].parse().expect("digits");
        let amount = quantity * (whole * 1_000 + if whole < 0 { -part } else { part });
        *differs.entry(text(invoice)).or_default() |= amount % 50 != 0;
    }
    differs.values().filter(|differs| **differs).count() as u64
}

fn numbers(comparison: &Value) -> [u64; 5] {
    ["equal", "different", "missing", "extra", "failing"].map(|name| comparison[name].as_u64().expect("a number"))
}

fn replayed(name: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = run(&program(name), &[&["replay", "--output", "json"], arguments, &QUIET].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}")))
}

#[test]
fn a_bug_is_found_to_the_order_in_the_real_data() {
    let Some(data) = real_data() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let place = ["--broker", broker.as_str(), "--store", "fjall"];
    let input = data.to_string_lossy();
    let done = |name: &str, arguments: &[&str]| {
        let output = run(&program(name), &[arguments, &place, &QUIET].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    done("shop", &["ingest", "--input", &input]);
    done("orders", &["run", "--until-drained"]);
    let (code, same) = replayed("orders", &[&["--diff"], &place[..]].concat());
    assert_eq!((code, numbers(&same)), (Some(0), [25_900, 0, 0, 0, 0]));
    let (code, wrong) = replayed("orders", &[&["--diff", "--bug", "wrong-rounding"], &place[..]].concat());
    let wanted = cut_short(&data);
    assert_eq!((code, numbers(&wrong)), (Some(1), [25_900 - wanted, wanted, 0, 0, 0]));
    let fields = &wrong["differences"][0]["fields"];
    assert_eq!((&fields[0]["name"], fields.as_array().map(Vec::len)), (&json!("total_milli"), Some(1)));
    let ignored = ["--diff", "--bug", "wrong-rounding", "--ignore", "total_milli"];
    assert_eq!(replayed("orders", &[&ignored, &place[..]].concat()).0, Some(0));
}

#[test]
fn the_same_build_does_the_same_again_in_every_service() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let place = ["--broker", broker.as_str(), "--faults", "7"];
    run_json(&program("shop"), &[&["--lines", "20000", "--output", "json"], &place[..], &QUIET].concat());
    let (code, all) = replayed("shop", &[&["--diff"], &place[..]].concat());
    assert_eq!((code, &all["differences"], &all["unknown"]), (Some(0), &json!([]), &json!(0)));
    let [equal, rest @ ..] = numbers(&all);
    assert_eq!((json!(equal), rest), (all["emitted"].clone(), [0; 4]));
    assert!(equal > 20_000, "of all services: {all}");
}

#[test]
fn a_key_a_time_and_a_record_can_be_picked_and_what_is_not_there_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let place = ["--broker", broker.as_str()];
    run_json(&program("shop"), &[&["--lines", "5000", "--output", "json"], &place[..], &QUIET].concat());
    let orders = |arguments: &[&str]| replayed("orders", &[arguments, &place[..]].concat()).1;
    let all = orders(&["--limit", "3"]);
    assert_eq!((all["records"].as_u64(), all["units"].as_array().map(Vec::len)), (Some(3), Some(3)));
    let key = all["units"][0]["key"].as_str().expect("a key").to_owned();
    let of_key = orders(&["--key", &key]);
    let units = of_key["units"].as_array().expect("a list");
    assert!(units.iter().all(|unit| unit["key"] == json!(key)) && units.len() > 1);
    let last = units.last().expect("it was closed");
    assert_eq!((&last["type"], &last["then"]), (&json!("shop.invoice-closed"), &json!("done")));
    assert_eq!(last["emitted"][0]["key"], json!(key));
    assert_eq!((&last["state"][0]["name"], &last["state"][0]["before"]), (&json!("outcome"), &Value::Null));
    let (position, id) = (last["position"].as_str().expect("text"), last["id"].as_str().expect("text"));
    let by_id = orders(&["--event-id", id]);
    assert_eq!((&by_id["records"], &by_id["units"][0]["position"]), (&json!(1), &last["position"]));
    // What it emits hangs on the lines before: without the state of then it fails.
    let alone = orders(&["--from", position, "--event-id", id, "--state", "empty"]);
    assert!(alone["units"][0]["failure"].as_str().expect("it fails").contains("closed without a line"), "{alone}");
    let closed = orders(&["--where", "type = shop.invoice-closed and state = done"]);
    assert_eq!(closed["records"], closed["emitted"]);
    let later = orders(&["--from", "@2099-01-01T00:00"]);
    assert_eq!(later["records"], json!(0));
    let nobody = run(&program("orders"), &[&["replay", "--event-id", "none"][..], &place].concat());
    refused(&nobody, 3, &["TM-0409", "no unit"]);
    let beyond = run(&program("orders"), &[&["replay", "--from", "order-lines-0@99999999"][..], &place].concat());
    refused(&beyond, 3, &["TM-0902", "order-lines-0@99999999"]);
    let other = run(&program("orders"), &[&["replay", "--from", "stock-0@1"][..], &place].concat());
    refused(&other, 2, &["TM-0104", "reads no stock-0"]);
}

#[test]
fn a_replay_begins_with_a_snapshot_where_there_is_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let snapshots = folder.path().join("snapshots").display().to_string();
    let place = ["--broker", broker.as_str()];
    run_json(&program("shop"), &[&["--lines", "5000", "--output", "json"], &place[..], &QUIET].concat());
    let create = ["snapshot", "create", "--into", &snapshots, "--output", "json"];
    let made = run_json(&program("shop"), &[&create[..], &place, &QUIET].concat());
    assert_eq!(made.as_array().map(Vec::len), Some(6), "one for each service: {made}");
    run_json(&program("shop"), &[&["--lines", "5000", "--seed", "2", "--output", "json"], &place[..], &QUIET].concat());
    let last = |more: &[&str]| replayed("shop", &[&["--diff", "--last", "200"], more, &place[..]].concat());
    let (code, with) = last(&["--snapshots", &snapshots]);
    assert_eq!((code, &with["differences"]), (Some(0), &json!([])));
    assert_eq!(with["records"], last(&[]).1["records"]);
    // It is used: where it is damaged, that is said.
    let path = made[0]["path"].as_str().expect("text");
    for shard in 0..4 {
        let file = File::options().write(true).open(format!("{path}/{shard}.snapshot")).expect("it was written");
        let length = file.metadata().expect("it is there").len();
        file.set_len(length - 1).expect("it can be cut");
    }
    let damaged = ["replay", "--last", "200", "--snapshots", &snapshots, "--service", "orders"];
    refused(&run(&program("shop"), &[&damaged[..], &place].concat()), 3, &["TM-0904", ".snapshot"]);
    let nowhere = run(&program("shop"), &[&["snapshot", "create"][..], &place].concat());
    refused(&nowhere, 2, &["TM-0102", "--into DIR"]);
}

#[test]
fn a_replay_runs_from_a_file_of_what_was_exported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (all, last, faults) = (file("all.jsonl"), file("last.jsonl"), ["--faults", "7"]);
    let shop = |arguments: &[&str], broker: &str| {
        run_json(&program("shop"), &[arguments, &["--output", "json", "--broker", broker], &faults, &QUIET].concat())
    };
    // Twice, so that the last records are on no first page of a journal.
    for seed in ["1", "2"] {
        shop(&["--lines", "5000", "--seed", seed], &broker);
    }
    let exported = shop(&["events", "export", "--into", &all], &broker);
    assert!(exported["records"].as_u64() > Some(5_000), "{exported}");
    let there = shop(&["replay", "--diff"], &broker);
    let from_file = format!("jsonl:{all}");
    assert_eq!(shop(&["replay", "--diff"], &from_file), there);
    assert_eq!((&there["differences"], &there["equal"]), (&json!([]), &there["emitted"]));
    // A part of it has what a replay of that part needs, the state of then aside.
    shop(&["events", "export", "--service", "inventory", "--last", "100", "--into", &last], &broker);
    let part = |state: &str, broker: &str| {
        let (code, part) = replayed("inventory", &["--last", "100", "--state", state, "--broker", broker]);
        (code, part["records"].clone(), part["emitted"].clone())
    };
    let from_file = format!("jsonl:{last}");
    assert_eq!(part("empty", &from_file), part("empty", &broker));
    let refusing = |arguments: &[&str], broker: &str, exit: i32, words: &[&str]| {
        refused(&run(&program("inventory"), &[arguments, &["--broker", broker]].concat()), exit, words);
    };
    refusing(&["replay", "--last", "100"], &from_file, 3, &["TM-0901", "its oldest page"]);
    refusing(&["run"], &from_file, 3, &["TM-0408", "cannot run"]);
    refusing(&["replay", "--state", "current"], &from_file, 3, &["TM-0408", "is not in it"]);
    refusing(&["replay"], &format!("jsonl:{}", file("none.jsonl")), 3, &["TM-0904", "none.jsonl"]);
    let spoiled = file("spoiled.jsonl");
    let text = std::fs::read_to_string(&last).expect("it was written");
    std::fs::write(&spoiled, text.replacen("\"base64\":\"", "\"base64\":\"?", 1)).expect("a file of the test");
    refusing(&["replay"], &format!("jsonl:{spoiled}"), 3, &["TM-0904", "line ", "no base64"]);
}

#[test]
fn what_is_emitted_for_real_goes_where_it_is_told_and_is_known_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let place = ["--broker", broker.as_str()];
    run_json(&program("shop"), &[&["--lines", "3000", "--output", "json"], &place[..], &QUIET].concat());
    let placed =
        replayed("orders", &[&["--where", "type = shop.invoice-closed", "--limit", "1"], &place[..]].concat()).1;
    let key = placed["units"][0]["key"].as_str().expect("text");
    let emit = |more: &[&str]| {
        let arguments = [&["replay", "--key", key, "--emit", "--output", "json"], more, &place, &QUIET].concat();
        run_json(&program("orders"), &arguments)
    };
    let planned = emit(&["--into", "orders"]);
    assert_eq!((&planned[0]["emitted"], &planned[0]["executed"]), (&json!(1), &json!(false)));
    let copies = || {
        let of = ["--where", "topic = orders and state = copy"];
        replayed("inventory", &[&of, &place[..]].concat()).1["records"].clone()
    };
    let again = || {
        let run_on = run(&program("shop"), &[&["run", "--until-drained"], &place[..], &QUIET].concat());
        assert!(run_on.status.success(), "{}", String::from_utf8_lossy(&run_on.stderr));
    };
    again();
    assert_eq!(copies(), json!(0), "nothing was published");
    let done = emit(&["--into", "orders", "--execute", "--reason", "to see it", "--by", "somebody"]);
    assert_eq!((&done[0]["emitted"], &done[0]["executed"]), (&json!(1), &json!(true)));
    again();
    assert_eq!(copies(), json!(1), "it has the id that it had");
    let file = folder.path().join("all.jsonl").display().to_string();
    let export = ["events", "export", "--into", &file];
    assert!(run(&program("orders"), &[&export[..], &place].concat()).status.success());
    let text = std::fs::read_to_string(&file).expect("it was written");
    let recorded = text.lines().find(|line| line.contains("replay-emit")).expect("it is recorded");
    assert!(recorded.contains("orders.operations") && recorded.contains("to see it") && recorded.contains("somebody"));
    let refusing = |more: &[&str], exit: i32, words: &[&str]| {
        refused(&run(&program("orders"), &[&["replay", "--emit"], more, &place].concat()), exit, words);
    };
    refusing(&["--into", "nowhere"], 3, &["TM-0401", "nowhere"]);
    refusing(&["--into", "orders.journal"], 2, &["TM-0102", "for itself"]);
    refusing(&["--into", "orders", "--key", "nobody"], 3, &["TM-0409"]);
}
