//! Dead letters redriven after a fix: each applied once, whatever is run twice or killed.

use std::time::Duration;

use serde_json::Value;

use crate::process::{program, run, run_json, start};

/// Lines that make orders enough for some to fail.
const LINES: &str = "60000";
/// How long lives of the service last that are killed.
const LIVES: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(40), Duration::from_millis(15), Duration::from_millis(80)];

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// How many letters are in this state.
fn in_state(letters: &Value, state: &str) -> usize {
    let all = letters.as_array().expect("a list");
    all.iter().filter(|letter| letter["state"] == state).count()
}

#[test]
fn letters_redriven_after_a_fix_are_applied_once() {
    let (shop, payments) = (program("shop"), program("payments"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let place = ["--broker", broker.as_str(), "--set", "log.level=error"];
    let on = |command: &[&'static str]| -> Vec<String> {
        command.iter().chain(&place).map(|word| (*word).to_owned()).collect()
    };
    let report = run_json(&shop, &words(&on(&["demo", "--faults", "7", "--lines", LINES, "--output", "json"])));
    let (orders, refused) = (report["orders"].as_u64(), report["faults"]["permanent"].as_u64());
    let refused = usize::try_from(refused.expect("a number")).expect("few");
    assert!(refused > 2, "{report}");
    let list = || run_json(&payments, &words(&on(&["dead-letters", "list", "--all", "--output", "json"])));
    let before = list();
    let undecodable = in_state(&before, "open") - refused;
    // The program alone has a bank that never fails: that is the fix.
    let redrive = ["dead-letters", "redrive", "--where", "code = TM-0501", "--output", "json"];
    let execute = [&redrive[..], &["--execute", "--reason", "the bank is mended"]].concat();
    let planned = run(&payments, &words(&on(&redrive)));
    assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
    assert_eq!(in_state(&list(), "open"), refused + undecodable, "nothing is done without --execute");
    for _ in 0..2 {
        let executed = run(&payments, &words(&on(&execute)));
        assert!(executed.status.success(), "{}", String::from_utf8_lossy(&executed.stderr));
    }
    for life in LIVES {
        let mut child = start(&payments, &words(&on(&["run", "--until-drained"])));
        std::thread::sleep(life);
        // One that ended by itself cannot be killed, and need not.
        let _ = child.kill();
        child.wait().expect("the child is ours");
    }
    let drained = run(&payments, &words(&on(&["run", "--until-drained"])));
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    let after = list();
    assert_eq!((in_state(&after, "applied"), in_state(&after, "open")), (refused, undecodable), "{after}");
    let again = run(&payments, &words(&on(&execute)));
    assert_eq!(again.status.code(), Some(3), "nothing is left to be redriven");
    let report = run_json(&shop, &words(&on(&["report", "--faults", "7", "--output", "json"])));
    assert_eq!(report["orders"].as_u64(), orders);
    assert_eq!(paid(&folder.path().join("log").display().to_string()), orders, "each order is paid once");
}

/// How many orders are paid.
fn paid(directory: &str) -> Option<u64> {
    use tidemill::config::Configuration;
    use tidemill::host::Host;
    use tidemill::query::Query;
    let configuration = Configuration::default().with("broker", &format!("embedded:{directory}")).expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let host = Host::open(configuration).expect("nobody else has it");
        let (mut paid, query) = (0, Query::new(host.broker().clone(), payments::NAME));
        let each = query.cells(payments::CHARGES, payments::PAYMENT, |_, _| paid += 1);
        each.await.expect("it can be read");
        Some(paid)
    })
}
