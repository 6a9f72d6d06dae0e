//! Scenarios: the real programs as real processes, on real directories, killed and started again.

#![allow(clippy::print_stderr, reason = "what is skipped has to be said")]

mod backfill;
mod checkout;
mod copies;
mod disk;
mod errands;
mod failing;
mod kafka;
mod kill;
mod letters;
mod misbehaving;
mod moments;
mod outbox;
mod own_crate;
mod poison;
mod process;
mod redrive;
mod refusals;
mod registry;
mod replay;
mod shop;
mod storefront;
mod timers;
mod totals;
mod traced;
