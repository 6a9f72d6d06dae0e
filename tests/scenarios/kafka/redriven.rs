//! Dead letters redriven after a fix, while newer records of their keys come in and instances are killed.

use std::time::Duration;

use super::audit;
use super::feed::feed_once;
use super::tally::Stage;

/// Keys that have dead letters, and one that has none.
const KEYS: [&str; 5] = ["bad-0", "bad-1", "bad-2", "bad-3", "good"];
/// Records of each key before the fix, and with those after it.
const BEFORE: u64 = 400;
const ALL: u64 = 500;
/// How long the first instance with the fix lives.
const LIFE: Duration = Duration::from_millis(700);
const REDRIVE: [&str; 7] =
    ["dead-letters", "redrive", "--where", "key ~ bad", "--execute", "--reason", "the bug is mended"];

/// As the program has it.
fn was_letter(key: &str, number: u64) -> bool {
    key.starts_with("bad") && number <= BEFORE && number % 40 == 1
}

fn records(numbers: std::ops::RangeInclusive<u64>) -> Vec<(&'static str, u64)> {
    numbers.flat_map(|number| KEYS.map(|key| (key, number))).collect()
}

/// The states of all letters.
fn letters(stage: &Stage) -> Vec<String> {
    let listed = stage.letters();
    let states = listed.as_array().expect("a list").iter();
    states.map(|letter| letter["state"].as_str().expect("a state").to_owned()).collect()
}

/// Runs with the bug, mends it, redrives twice with a kill between, and once more.
fn redriven(stage: &Stage, expected: usize) {
    feed_once(stage, &records(1..=BEFORE));
    let broken = stage.call(&["run", "--until-drained", "--bug"]);
    assert!(broken.status.success(), "{}", String::from_utf8_lossy(&broken.stderr));
    assert_eq!(letters(stage), vec!["open"; expected]);
    let executed = || stage.operate(&REDRIVE);
    assert!(executed().status.success());
    let mut mended = stage.start("mended");
    feed_once(stage, &records(BEFORE + 1..=ALL));
    std::thread::sleep(LIFE);
    mended.kill();
    // What is closed by now cannot be redriven, and where that is all, it says so.
    assert!(matches!(executed().status.code(), Some(0 | 3)));
    stage.drain();
    assert_eq!(letters(stage), vec!["applied"; expected]);
    assert_eq!(executed().status.code(), Some(3), "nothing is left to be redriven");
}

#[test]
fn with_hold_letters_are_applied_once_in_the_order_of_their_keys() {
    let Some(stage) = Stage::open("redriving on Kafka", &["failures.permanent.then=hold"]) else { return };
    // The first of each key holds those behind it.
    redriven(&stage, 4);
    assert_eq!(audit::applied_once(&stage) as u64, ALL * KEYS.len() as u64);
}

#[test]
fn with_continue_letters_are_applied_once_after_what_is_newer() {
    let Some(stage) = Stage::open("redriving on Kafka, later", &["failures.permanent.then=continue"]) else { return };
    redriven(&stage, 4 * 10);
    assert_eq!(audit::applied_once_but(&stage, was_letter) as u64, ALL * KEYS.len() as u64);
}
