//! The shop's HTTP front: `storefront run --listen HOST:PORT --state postgres://… --broker kafka://…`.

use std::process::ExitCode;

/// Its memory stays flat where records are made on one thread and freed on another, and it is quicker at that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tidemill::command::execute(storefront::work)
}
