//! A service in a crate outside of this workspace is tested with what the kit gives its author, in thirty lines; and careless
//! handlers are told of in words that their author understands.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::process::root;

const SERVICE: &str = include_str!("programs/own_crate/service.rs");
const GOOD: &str = include_str!("programs/own_crate/good.rs");
const CARELESS: &str = include_str!("programs/own_crate/careless.rs");

/// The most lines that testing a service may take.
const LINES: usize = 30;

/// Makes the crate, which depends on packages of this checkout by their paths: on these for its tests.
pub(crate) fn make(folder: &Path, for_tests: &[(&str, &str)]) {
    let for_tests = for_tests.iter().map(|(name, path)| (*name, root().join(path)));
    let for_tests = for_tests.map(|(name, path)| format!("{name} = {{ path = \"{}\" }}\n", path.display()));
    let manifest = format!(
        "[package]\nname = \"own_crate\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nserde = {{ version = \"1\", features = [\"derive\"] }}\ntidemill = {{ path = \"{}\" }}\n\n\
         [dev-dependencies]\n{}\n[profile.dev]\ndebug = \"line-tables-only\"\n\n[workspace]\n",
        root().join("runtime/tidemill").display(),
        for_tests.collect::<String>(),
    );
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder of the test");
        fs::write(path, text).expect("a file of the test");
    };
    write("Cargo.toml", &manifest);
    write("src/lib.rs", SERVICE);
    // The same versions as here, which are there already.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file");
}

/// Runs one of its tests, and answers what that said.
pub(crate) fn test(folder: &Path, target: &str) -> (Output, String) {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--offline", "--test", target]).current_dir(folder).env_remove("RUST_TEST_NOCAPTURE");
    // What this workspace has built is not built again.
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.env("CARGO_TARGET_DIR", root().join("target"));
    }
    let output = command.output().expect("cargo runs");
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    (output, text)
}

#[test]
fn a_service_elsewhere_is_tested_in_thirty_lines_and_told_what_is_wrong() {
    assert!(GOOD.lines().count() <= LINES, "testing a service takes {} lines", GOOD.lines().count());
    let folder = tempfile::tempdir().expect("a folder");
    make(folder.path(), &[("tidemill-testkit", "runtime/testkit")]);
    fs::create_dir_all(folder.path().join("tests")).expect("a folder of the test");
    for (name, text) in [("good", GOOD), ("careless", CARELESS)] {
        fs::write(folder.path().join(format!("tests/{name}.rs")), text).expect("a file of the test");
    }
    let (output, text) = test(folder.path(), "good");
    assert!(output.status.success(), "{text}");
    let (output, text) = test(folder.path(), "careless");
    assert!(!output.status.success(), "{text}");
    for words in [
        "in a replay, sales: ",
        "total of key France of revenue has another value",
        "Look for what it keeps outside of the context (a static, a field that changes)",
        "mails sent: ",
        "and 60 when nothing goes wrong",
        "pass `Context::idempotency_key` on",
        "The test that shows it again:",
        "simulation().replay(",
    ] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }
}
