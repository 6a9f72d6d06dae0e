//! The sample shop: feeds its services with order lines, runs them in one process, and reports what they know.

use std::process::ExitCode;

mod demo;
mod feed;
mod options;
mod progress;
mod report;
mod services;

fn main() -> ExitCode {
    tidemill::command::execute(options::work)
}
