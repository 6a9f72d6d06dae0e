//! A Kafka whose owner is killed.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use devkit::kafka;

use crate::processes::{is_gone, within_the_limit};

#[test]
fn neither_process_nor_folder_outlives_an_owner_that_was_killed() {
    if kafka::for_tests("killing the owner of a Kafka").is_none() {
        return;
    }
    let program = env::current_exe().expect("this program has a path");
    let built = program.ancestors().nth(2).expect("tests lie two folders below the build").join("examples/own");
    let owner = Command::new(built).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut owner = owner.expect("the example is built with the tests");
    let mut lines = BufReader::new(owner.stdout.take().expect("it is piped")).lines();
    let mut line = || lines.next().expect("it prints three lines").expect("they are text");
    let (process, _address, folder) = (line().parse().expect("a process id"), line(), line());
    assert!(!is_gone(process), "process {process} has to run");
    assert!(Path::new(&folder).exists(), "{folder} has to be there");

    owner.kill().expect("it runs");
    owner.wait().expect("it was started here");
    assert!(within_the_limit(|| is_gone(process)), "process {process} runs on without its owner");
    assert!(within_the_limit(|| !Path::new(&folder).exists()), "{folder} is left without its owner");
}
