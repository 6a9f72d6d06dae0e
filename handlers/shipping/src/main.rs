//! The `shipping` service alone: `shipping run --broker embedded:DIR`.

use std::process::ExitCode;

/// Its memory stays flat where records are made on one thread and freed on another, and it is quicker at that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tidemill::main(shipping::service(shipping::SEED))
}
