//! Starts and stops the real parts that tidemill runs against, without a container engine: tests, benchmarks and people at
//! their own machines use the same code. The program `devkit` does the same from the command line; `docs/DEVKIT.md` shows it.

pub mod kafka;
pub mod postgres;
pub mod registry;

mod background;
mod error;
mod java;
mod log;
mod part;
mod ports;
mod process;
mod wait;
mod wanted;

pub use error::Error;
