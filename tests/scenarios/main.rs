//! Scenarios: the real programs as real processes, on real directories, killed and started again.

mod kill;
mod misbehaving;
mod process;
mod refusals;
mod shop;
mod totals;
