//! The `payments` service alone: `payments run --broker embedded:DIR`. Its bank never fails.

use std::process::ExitCode;

/// Its memory stays flat where records are made on one thread and freed on another, and it is quicker at that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tidemill::main(payments::service(None))
}
