//! The `orders` service alone: `orders run --broker embedded:DIR`.

use std::process::ExitCode;

use clap::Args;
use orders::Bug;

/// Its memory stays flat where records are made on one thread and freed on another, and it is quicker at that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What this program has beside what every service has.
#[derive(Debug, Args)]
struct Own {
    /// Build in a bug, for a replay to find.
    #[arg(long, value_enum, global = true, value_name = "BUG")]
    bug: Option<Bug>,
}

fn main() -> ExitCode {
    tidemill::main_with(|own: Own| orders::service_with(own.bug))
}
