//! The `orders` service alone: `orders run --broker embedded:DIR`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidemill::main(orders::service())
}
