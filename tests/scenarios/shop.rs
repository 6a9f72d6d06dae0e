//! The shop on generated and on real data.

use serde_json::json;

use crate::process::{program, real_data, run, run_json, totals_of};
use crate::totals::{text_of, totals};

#[test]
fn the_demo_ends_with_a_report() {
    let output = run(&program("shop"), &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("100,000") && text.contains("revenue"), "{text}");
}

#[test]
fn the_real_data_has_its_known_totals() {
    let Some(data) = real_data() else { return };
    let report = run_json(&program("shop"), &["--input", &data.to_string_lossy(), "--output", "json"]);
    let known = json!({
        "lines": 541_909, "invoices": 25_900, "orders": 22_061, "cancellations": 3_836, "adjustments": 3,
        "products": 4_070, "revenue_milli": 9_747_747_934_i64, "rejected_lines": 0,
    });
    for (name, value) in known.as_object().expect("an object") {
        assert_eq!(report[name], *value, "{name}");
    }
    assert_eq!(totals_of(report), totals(&text_of(&data)));
}

#[test]
fn a_cut_file_has_the_totals_of_its_part() {
    let Some(data) = real_data() else { return };
    let text = text_of(&data);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for lines in [2, 3, 1_000, 70_001] {
        let end = text.match_indices('\n').nth(lines - 1).map_or(text.len(), |(at, _)| at + 1);
        let path = folder.path().join(format!("{lines}.csv"));
        std::fs::write(&path, &text[..end]).expect("the part can be written");
        let report = run_json(&program("shop"), &["--input", &path.to_string_lossy(), "--output", "json"]);
        assert_eq!(totals_of(report), totals(&text[..end]), "the first {lines} lines");
    }
}

#[test]
fn bad_lines_are_reported_and_the_rest_counts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, rejects) = (folder.path().join("untidy.csv"), folder.path().join("rejects.csv"));
    let head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let good = "1,A,x,2,2010-12-01 08:26:00,2.55,,France\n";
    let bad = "1,A,x,many,2010-12-01 08:26:00,2.55,,France\n1,A,x,2,yesterday,2.55,,France\n1,A\n";
    std::fs::write(&path, format!("{head}{good}{bad}{good}")).expect("the input can be written");
    let arguments = ["--input", &path.to_string_lossy(), "--rejects", &rejects.to_string_lossy(), "--output", "json"];
    let report = run_json(&program("shop"), &arguments);
    assert_eq!((&report["lines"], &report["rejected_lines"]), (&json!(2), &json!(3)));
    assert_eq!(report["revenue_milli"], json!(10_200));
    let rejected = std::fs::read_to_string(&rejects).expect("the rejects are reported");
    for line in ["3,", "4,", "5,"] {
        assert!(rejected.lines().any(|row| row.starts_with(line)), "line {line} is not in {rejected}");
    }
}

#[test]
fn parts_and_single_services_add_up_to_the_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("shop").display());
    let on = |arguments: &[&'static str]| -> Vec<String> {
        arguments.iter().map(ToString::to_string).chain(["--broker".to_owned(), broker.clone()]).collect()
    };
    let run_on = |package: &str, arguments: &[&'static str]| {
        let arguments = on(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = run(&program(package), &arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{package} {arguments:?} ended with {}: {errors}", output.status);
        output
    };
    run_on("shop", &["ingest", "--lines", "5000", "--seed", "7"]);
    run_on("orders", &["run", "--until-drained"]);
    run_on("shop", &["run", "--services", "inventory,sales", "--until-drained"]);
    let output = run_on("shop", &["report", "--output", "json"]);
    let report = serde_json::from_slice(&output.stdout).expect("a JSON report");
    let whole = run_json(&program("shop"), &["--lines", "5000", "--seed", "7", "--output", "json"]);
    assert_eq!(totals_of(report), totals_of(whole));
}

#[test]
fn payments_that_fail_are_told_of_and_leave_the_totals_as_they_are() {
    let shop = program("shop");
    let demo = |more: &[&str]| run_json(&shop, &[&["--lines", "40000", "--output", "json"], more].concat());
    let mut report = demo(&["--faults", "7", "--set", "log.level=off"]);
    let count = |name: &str| report["faults"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"));
    for name in ["transient", "permanent", "undecodable", "retried", "parked", "dead_letters"] {
        assert!(count(name) > 0, "{name}: {report}");
    }
    assert_eq!(count("dead_letters"), count("permanent") + count("undecodable"));
    assert!(count("parked") < count("retried"), "{report}");
    let faults = report.as_object_mut().expect("an object").remove("faults");
    assert!(faults.is_some());
    let steady = demo(&[]);
    assert!(steady.get("faults").is_none(), "{steady}");
    assert_eq!(totals_of(report), totals_of(steady));
}
