//! Operates any service, without its handlers: see `docs/COMMANDS.md`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidemill::command::operator()
}
