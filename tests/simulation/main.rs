//! The core, proved: workloads on `memory:` under faults, many seeds, independent checkers, and planted bugs that have to be
//! caught. A program of its own, so that what it found is said also when all is well.
//!
//! `TIDEMILL_SIM_SEEDS` sets how many seeds run of each workload (64), `TIDEMILL_SIM_FROM` which is the first (0).

mod events;
mod failing;
mod handlers;
mod operators;
mod planted;
mod processes;
mod timing;
mod workloads;

use std::time::{Duration, Instant};
use std::{env, thread};

use tidemill_testkit::simulation::Report;

/// Seeds of each workload, unless said otherwise.
const SEEDS: u64 = 64;

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Runs every workload under every seed. Panics at the first that breaks a promise.
fn keep_promises() -> (Report, Duration) {
    let from = number("TIDEMILL_SIM_FROM", 0);
    let seeds = from..from + number("TIDEMILL_SIM_SEEDS", SEEDS);
    let (mut all, began) = (Report::default(), Instant::now());
    for workload in workloads::ALL {
        let began = Instant::now();
        let report = (workload.simulation)().run(seeds.clone());
        assert!(!report.faults.is_empty(), "{}: nothing went wrong, so nothing was shown", workload.name);
        say(&format!("{}: {report}, {:.1} s", workload.name, began.elapsed().as_secs_f64()));
        all.merge(&report);
    }
    (all, began.elapsed())
}

#[expect(clippy::print_stdout, reason = "this program's output is what it is for")]
fn say(line: &str) {
    println!("{line}");
}

/// Whether somebody who runs some tests by a part of their names, or lists them, means others than this one.
fn is_left_out() -> bool {
    let mut arguments = env::args().skip(1);
    arguments.any(|argument| argument == "--list" || !argument.starts_with('-') && !"simulation".contains(&argument))
}

fn main() {
    if is_left_out() {
        return;
    }
    // A handler's panic is part of the play, and caught; what this program itself finds is said once.
    let planted = thread::spawn(planted::all_are_caught);
    let (report, took) = keep_promises();
    let began = Instant::now();
    timing::many();
    say(&format!("a hundred thousand timers: {:.1} s", began.elapsed().as_secs_f64()));
    let caught = planted.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let (simulated, real) = (report.simulated.as_secs_f64(), took.as_secs_f64());
    say(&format!("simulation: {report}"));
    say(&format!("simulation: {:.0} simulated seconds in each second", simulated / real));
    say(&format!("simulation: {caught} planted bugs, all caught"));
}
