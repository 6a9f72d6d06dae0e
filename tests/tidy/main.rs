//! The house rules as tests. Each names the file and the line where it does not hold, and what to do about it; the tests
//! beside each rule show that it can fail.

mod commands;
mod examples;
mod imports;
mod length;
mod lexer;
mod links;
mod manifest;
mod markers;
mod names;
mod pages;
mod placement;
mod purity;
mod schemas;
mod tree;
mod vendors;

use std::path::Path;
use std::sync::LazyLock;

use tree::{Finding, Tree};

/// This project.
static PROJECT: LazyLock<Tree> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of the workspace");
    Tree::load(root)
});

/// Fails with everything that a rule finds in this project.
fn hold(rule: fn(&Tree) -> Vec<Finding>) {
    let findings = rule(&PROJECT);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "\n{}\n", lines.join("\n"));
}

/// What a rule finds in a sample.
fn found(rule: fn(&Tree) -> Vec<Finding>, tree: &Tree) -> Vec<String> {
    rule(tree).iter().map(ToString::to_string).collect()
}

#[test]
fn every_rust_file_can_be_read() {
    hold(tree::check);
}

#[test]
fn every_member_obeys_the_workspace_lints() {
    hold(manifest::check);
}

#[test]
fn imports_follow_the_crate_order() {
    hold(imports::check);
}

#[test]
fn vendor_crates_stay_in_their_adapter() {
    hold(vendors::check);
}

#[test]
fn files_and_functions_are_short() {
    hold(length::check);
}

#[test]
fn module_names_say_something() {
    hold(names::check);
}

#[test]
fn every_error_code_has_its_page() {
    hold(pages::check);
}

#[test]
fn every_schema_has_its_sample() {
    hold(schemas::check);
}

#[test]
fn tests_and_unsafe_stand_in_their_places() {
    hold(placement::check);
}

#[test]
fn nothing_is_half_done_or_bound_to_a_machine() {
    hold(markers::check);
}

#[test]
fn the_core_touches_nothing() {
    hold(purity::check);
}

#[test]
fn every_example_is_compiled() {
    hold(examples::check);
}

#[test]
fn pages_point_to_files_that_are_there() {
    hold(links::check);
}

#[test]
fn the_readme_shows_what_ci_runs() {
    hold(commands::check);
}
