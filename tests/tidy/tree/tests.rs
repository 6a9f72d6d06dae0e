use super::{Finding, Tree, check};
use crate::found;

#[test]
fn a_file_that_is_no_rust_is_found() {
    let tree =
        Tree::sample([("a/src/lib.rs", "fn f() {\n"), ("a/src/good.rs", "fn f() {}\n"), ("a/note.md", "fn f() {")]);
    assert_eq!(found(check, &tree).len(), 1, "{:?}", found(check, &tree));
    assert!(found(check, &tree)[0].starts_with("a/src/lib.rs:1: this is not Rust"));
}

#[test]
fn a_finding_reads_as_a_place_and_what_to_do() {
    assert_eq!(Finding::new("a/b.rs", 7, "split it").to_string(), "a/b.rs:7: split it");
}

#[test]
fn the_project_itself_is_seen() {
    let paths: Vec<&str> = crate::PROJECT.texts().map(|(path, _)| path).collect();
    for wanted in ["Cargo.toml", "Cargo.lock", "runtime/core/src/code.rs", "tests/tidy/main.rs", ".ci/run"] {
        assert!(paths.contains(&wanted), "{wanted} is not seen");
    }
    assert!(!paths.iter().any(|path| path.starts_with("target/")), "what was built is no text of ours");
}
