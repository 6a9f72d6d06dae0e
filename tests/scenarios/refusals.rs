//! Bad input: one clear error with code and remedy page, the right exit code.

use std::path::Path;

use crate::process::{command, program, run};

/// Runs the shop and checks how it refuses.
fn refused(arguments: &[&str], exit: i32, said: &[&str]) {
    let output = run(&program("shop"), arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {errors}");
    for words in said {
        assert!(errors.contains(words), "{arguments:?} does not say {words:?}: {errors}");
    }
    assert!(!errors.contains("panicked") && !errors.contains("backtrace"), "{errors}");
    assert!(output.stdout.is_empty(), "data on stdout beside an error: {arguments:?}");
}

#[test]
fn what_the_command_line_gets_wrong() {
    refused(&["--inptu", "x"], 2, &["--input"]);
    refused(&["report", "--output", "xml"], 2, &["table", "json"]);
    refused(&["--broker", "rabbit://here"], 2, &["TM-0103", "rabbit", "memory:", "embedded:"]);
    refused(&["run", "--services", "orders,warehouse", "--until-drained"], 2, &["TM-0104", "warehouse", "orders"]);
}

#[test]
fn what_the_configuration_gets_wrong() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tidemill.toml");
    std::fs::write(&file, "[limits]\ncommit_intervall = \"50ms\"\n").expect("the file can be written");
    let file = file.to_string_lossy();
    refused(&["--config", &file], 2, &["TM-0101", "commit_intervall", "commit_interval"]);
    let mut shop = command(&program("shop"), &["--lines", "10"]);
    let output = shop.env("TIDEMILL_LIMITS__COMMIT_INTERVAL", "fast").output().expect("the shop can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("TM-0102") && errors.contains("fast"), "{errors}");
}

#[test]
fn what_the_input_gets_wrong() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("the file can be written");
        path.to_string_lossy().into_owned()
    };
    refused(&["--input", "no/such/file.csv"], 3, &["TM-0201", "no/such/file.csv"]);
    refused(&["--input", &write("empty.csv", b"")], 3, &["TM-0202", "empty.csv"]);
    refused(&["--input", &write("columns.csv", b"InvoiceNo,StockCode\n1,2\n")], 3, &["TM-0202", "Quantity"]);
    refused(&["--input", &write("cut.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0])], 3, &["TM-0201", "cut.csv.gz"]);
}

#[test]
fn what_is_wrong_with_a_directory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = |directory: &Path| format!("embedded:{}", directory.display());
    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).expect("the folder can be made");
    std::fs::write(foreign.join("letter.txt"), "not ours").expect("the file can be written");
    refused(&["report", "--broker", &broker(&foreign)], 3, &["TM-0303"]);
    assert_eq!(std::fs::read_to_string(foreign.join("letter.txt")).ok().as_deref(), Some("not ours"));

    let ours = folder.path().join("ours");
    let made = run(&program("shop"), &["ingest", "--lines", "50", "--broker", &broker(&ours)]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    refused(&["report", "--broker", &broker(&ours), "--store", "fjall"], 3, &["TM-0306", "--store sled"]);
    let manifest = std::fs::read_dir(&ours)
        .expect("the folder is there")
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().contains("manifest"))
        .expect("a manifest");
    let text = std::fs::read_to_string(manifest.path()).expect("the manifest is text");
    std::fs::write(manifest.path(), text.replace('1', "9")).expect("the manifest can be written");
    refused(&["report", "--broker", &broker(&ours)], 3, &["TM-0302"]);
    std::fs::write(manifest.path(), "rubbish").expect("the manifest can be written");
    refused(&["report", "--broker", &broker(&ours)], 3, &["TM-0304"]);
}
