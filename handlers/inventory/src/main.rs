//! The `inventory` service alone: `inventory run --broker embedded:DIR`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidemill::main(inventory::service())
}
