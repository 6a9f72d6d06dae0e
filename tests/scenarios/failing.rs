//! Records that fail for a while keep the order of their keys, and hold nobody else up, whatever is killed meanwhile.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{example, run, run_json, start};

/// Attempts follow each other soon, so that a test sees all of them.
const SOON: [&str; 8] = [
    "--set",
    "failures.transient.first_delay=2ms",
    "--set",
    "failures.transient.delayed_first=50ms",
    "--set",
    "failures.transient.delayed_longest=200ms",
    "--set",
    "log.level=error",
];
const RECORDS: u64 = 100_000;
const KEYS: u64 = 1_000;
/// How often the run is killed before it may end, and how long each life lasts at least.
const KILLS: u64 = 4;
const LIFE: Duration = Duration::from_millis(250);

fn arguments<'a>(command: &[&'a str], place: &[&'a str]) -> Vec<&'a str> {
    [command, place, &SOON].concat()
}

/// Every record of every key was counted once, in order.
fn check(audit: &Value, what: &str) {
    let of = |key: &str| audit[key].clone();
    assert_eq!((of("records"), of("keys"), of("wrong")), (json!(RECORDS), json!(KEYS), json!(0)), "{what}: {audit}");
}

#[test]
fn keys_that_fail_for_a_while_keep_their_order_and_others_go_on() {
    let tally = example("tally");
    for broker in ["memory:", "sled", "fjall"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = match broker {
            "memory:" => broker.to_owned(),
            _ => format!("embedded:{}", folder.path().join("log").display()),
        };
        let store = if broker == "fjall" { "fjall" } else { "sled" };
        let audit = run_json(&tally, &arguments(&["whole"], &["--broker", &address, "--store", store]));
        check(&audit, broker);
    }
}

fn killed(store: &str, folder: &Path) {
    let tally = example("tally");
    let address = format!("embedded:{}", folder.join(store).display());
    let place = ["--broker", &address, "--store", store];
    let fed = run(&tally, &arguments(&["feed"], &place));
    assert!(fed.status.success(), "{}", String::from_utf8_lossy(&fed.stderr));
    let mut hits = 0;
    for kill in 0..KILLS {
        let mut child = start(&tally, &arguments(&["run", "--until-drained"], &place));
        std::thread::sleep(LIFE * u32::try_from(kill + 1).expect("few"));
        hits += u64::from(child.try_wait().expect("the child is ours").is_none());
        // One that ended by itself cannot be killed, and is counted above.
        let _ = child.kill();
        child.wait().expect("the child is ours");
    }
    let ended = run(&tally, &arguments(&["run", "--until-drained"], &place));
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    check(&run_json(&tally, &arguments(&["audit"], &place)), store);
    assert!(hits > 0, "no kill hit a running process");
}

#[test]
fn killed_while_records_are_parked_every_record_has_its_effects_once_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for store in ["sled", "fjall"] {
        killed(store, folder.path());
    }
}
