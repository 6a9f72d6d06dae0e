//! The `sales` service alone: `sales run --broker embedded:DIR`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidemill::main(sales::service())
}
