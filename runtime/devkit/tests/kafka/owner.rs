//! A Kafka whose owner is killed.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use devkit::kafka::{self, Kafka, Options};

use crate::processes::{is_gone, within_the_limit};

/// Set where this program runs as the owner that is going to be killed.
const OWNER: &str = "DEVKIT_TEST_OWNER";
/// What stands before the owner's answer, among what a test program prints by itself.
const ANSWER: &str = "owner of ";

#[test]
fn neither_process_nor_folder_outlives_an_owner_that_was_killed() {
    if env::var_os(OWNER).is_some() {
        return own_until_killed();
    }
    if kafka::for_tests("killing the owner of a Kafka").is_none() {
        return;
    }
    let this = "owner::neither_process_nor_folder_outlives_an_owner_that_was_killed";
    let program = env::current_exe().expect("this program has a path");
    let owner = Command::new(program)
        .args(["--exact", this, "--nocapture"])
        .env(OWNER, "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut owner = owner.expect("this program starts once more");
    let mut lines = BufReader::new(owner.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let answer = lines.find_map(|line| line.split_once(ANSWER).map(|(_, answer)| answer.to_owned()));
    let answer = answer.expect("it tells what it owns");
    let (process, folder) = answer.split_once(' ').expect("it tells two things");
    let process = process.parse().expect("a process id");
    assert!(!is_gone(process), "process {process} has to run");
    assert!(Path::new(folder).exists(), "{folder} has to be there");

    owner.kill().expect("it runs");
    owner.wait().expect("it was started here");
    assert!(within_the_limit(|| is_gone(process)), "process {process} runs on without its owner");
    assert!(within_the_limit(|| !Path::new(folder).exists()), "{folder} is left without its owner");
}

fn own_until_killed() {
    let mut kafka = Kafka::start(&Options::default()).expect("it starts");
    let process = kafka.process_id().expect("it has just started");
    writeln!(io::stdout(), "{ANSWER}{process} {}", kafka.folder().display()).expect("somebody listens");
    let _ = io::stdin().read_to_end(&mut Vec::new());
}
