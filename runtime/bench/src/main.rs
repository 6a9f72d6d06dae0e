//! What tidemill reaches on this machine, beside a bare loop over the same log. `docs/PERFORMANCE.md` says what each figure
//! means.

use std::process::ExitCode;

use alloc_tracker::Allocator;
use tikv_jemallocator::Jemalloc;

mod bare;
mod case;
mod kafka;
mod latency;
mod measure;
mod meter;
mod options;
mod passthrough;
mod process;
mod relay;
mod report;
mod restore;
mod rows;
mod stateful;

/// The allocator of the shop's programs, with each thread's allocations counted.
#[global_allocator]
static ALLOCATOR: Allocator<Jemalloc> = Allocator::new(Jemalloc);

fn main() -> ExitCode {
    tidemill::command::execute(measure::work)
}
