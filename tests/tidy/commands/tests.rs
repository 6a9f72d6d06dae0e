use super::check;
use crate::found;
use crate::tree::Tree;

const SCRIPT: &str = "#!/usr/bin/env bash\nstep cargo fmt --all --check\nstep cargo test --workspace --locked\n";

fn findings(files: &[(&'static str, &str)]) -> Vec<String> {
    found(check, &Tree::sample(files.iter().map(|(path, text)| (*path, *text))))
}

fn readme(block: &str) -> String {
    format!("# Title\n\ncargo build\n\n```sh\n{block}\n```\n")
}

#[test]
fn the_same_command_in_both_is_fine() {
    for line in [
        "cargo test --workspace --locked",
        "    $ cargo test --workspace --locked",
        "cargo test --workspace --locked   # all tests\ncargo fmt --all --check",
    ] {
        assert!(findings(&[(".ci/run", SCRIPT), ("README.md", &readme(line))]).is_empty(), "{line}");
    }
}

#[test]
fn a_readme_that_shows_another_command_is_found() {
    for line in ["cargo test --workspace", "cargo test --workspace --locked --release"] {
        let findings = findings(&[(".ci/run", SCRIPT), ("README.md", &readme(line))]);
        assert_eq!(findings.len(), 2, "{line}");
        assert!(findings[0].starts_with("README.md:1: no block shows the command"));
        assert!(findings[1].starts_with("README.md:6: .ci/run does not run"));
    }
}

#[test]
fn a_command_that_ci_does_not_run_is_found() {
    let readme = readme("cargo test --workspace --locked\ncargo run -p shop");
    let findings = findings(&[(".ci/run", SCRIPT), ("README.md", &readme)]);
    assert_eq!(findings, ["README.md:7: .ci/run does not run `cargo run -p shop`; add it as a step"]);
}

#[test]
fn a_missing_part_is_found() {
    assert_eq!(findings(&[(".ci/run", SCRIPT)]).len(), 1);
    let readme = readme("cargo test --workspace --locked");
    assert_eq!(findings(&[(".ci/run", "step cargo build\n"), ("README.md", &readme)]).len(), 1);
    assert_eq!(findings(&[]).len(), 1);
}
