//! The sample shop: feeds its services with order lines, runs them in one process, and reports what they know.

use std::process::ExitCode;

mod demo;
mod faults;
mod feed;
mod options;
mod progress;
mod report;
mod services;

/// Its memory stays flat where records are made on one thread and freed on another, and it is quicker at that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tidemill::command::execute(options::work)
}
