use std::fmt::Write;

use super::{FILE_LINES, FUNCTION_LINES, check};
use crate::found;
use crate::tree::Tree;

fn findings(text: &str) -> Vec<String> {
    found(check, &Tree::sample([("a/src/lib.rs", text)]))
}

/// A function of this many lines.
fn function(lines: usize) -> String {
    format!("fn long()\n{{{}}}\n", "\n".repeat(lines - 2))
}

#[test]
fn a_file_may_be_as_long_as_the_bound_and_not_longer() {
    assert!(findings(&"\n".repeat(FILE_LINES)).is_empty());
    let findings = findings(&"\n".repeat(FILE_LINES + 1));
    assert_eq!(findings.len(), 1);
    assert!(findings[0].starts_with("a/src/lib.rs:401: 401 lines"));
}

#[test]
fn a_function_may_be_as_long_as_the_bound_and_not_longer() {
    assert!(findings(&function(FUNCTION_LINES)).is_empty());
    let findings = findings(&format!("\n{}", function(FUNCTION_LINES + 1)));
    assert_eq!(findings.len(), 1);
    assert!(findings[0].starts_with("a/src/lib.rs:2: fn long has 71 lines"));
}

#[test]
fn functions_are_seen_wherever_they_stand() {
    let long = function(FUNCTION_LINES + 1);
    let places = [
        "impl A { HERE }",
        "trait A { fn none(); HERE }",
        "fn outer() { HERE }",
        "proptest! { HERE }",
        "mod m { HERE }",
    ];
    for place in places {
        let findings = findings(&place.replace("HERE", &long));
        assert!(findings.iter().any(|finding| finding.contains("fn long has 71 lines")), "{place}: {findings:?}");
    }
}

#[test]
fn a_signature_is_no_body() {
    let mut text = "trait A {\n fn none(&self) -> Ring<{ SIZE }, { MORE }>\n where\n  T: X;\n".to_owned();
    for number in 0..FUNCTION_LINES {
        writeln!(text, " fn none{number}(&self) -> fn(u8) -> [u8; {{ 1 }}];").expect("a string takes everything");
    }
    text.push_str("}\n");
    assert!(findings(&text).is_empty(), "{:?}", findings(&text));
}

#[test]
fn a_body_after_bounds_is_found() {
    let long = function(FUNCTION_LINES).replace("fn long()\n", "fn long<T>() -> Ring<{ SIZE }>\nwhere\n T: X,\n");
    assert_eq!(findings(&long).len(), 1);
}
