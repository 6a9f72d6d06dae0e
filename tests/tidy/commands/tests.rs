use super::check;
use crate::found;
use crate::tree::Tree;

const SCRIPT: &str = "#!/usr/bin/env bash\nstep cargo fmt --all --check\nstep cargo test --workspace --locked\n";

fn findings(files: &[(&'static str, &str)]) -> Vec<String> {
    found(check, &Tree::sample(files.iter().map(|(path, text)| (*path, *text))))
}

#[test]
fn the_same_command_in_both_is_fine() {
    for line in ["cargo test --workspace --locked", "    $ cargo test --workspace --locked"] {
        assert!(
            findings(&[(".ci/run", SCRIPT), ("README.md", &format!("# Title\n\n```sh\n{line}\n```\n"))]).is_empty()
        );
    }
}

#[test]
fn a_readme_that_shows_another_command_is_found() {
    for line in ["cargo test --workspace", "cargo test --workspace --locked --release", "run cargo test"] {
        let findings = findings(&[(".ci/run", SCRIPT), ("README.md", line)]);
        assert_eq!(findings.len(), 1, "{line}");
        assert!(findings[0].starts_with("README.md:1: no line of its own shows"));
    }
}

#[test]
fn a_missing_part_is_found() {
    assert_eq!(findings(&[(".ci/run", SCRIPT)]).len(), 1);
    assert_eq!(
        findings(&[(".ci/run", "step cargo build\n"), ("README.md", "cargo test --workspace --locked\n")]).len(),
        1
    );
    assert_eq!(findings(&[]).len(), 1);
}
