//! The command line.

use clap::Parser;
use tidemill::command::{Options, Output};

use crate::case::Case;

/// Publishes records, runs a service of one worker over them, and then a bare loop over the same log. Prints what both reached.
#[derive(Debug, Parser)]
#[command(name = "tidemill-bench", version, args_override_self = true)]
pub(crate) struct Bench {
    /// What the service does with each record.
    #[arg(value_enum)]
    pub(crate) case: Case,
    /// How many records to work through: 2,000,000 unless given, 1,000,000 for restore, and 30,000 for latency, which takes half
    /// a minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) records: Option<u64>,
    /// On Kafka, how many records a whole run works through that goes before, in a process of its own, and does not count: a
    /// broker that was just started is slower. No more than are measured; 0 for none. For latency there is none.
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    pub(crate) warm_up: u64,
    /// How to print the figures.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) common: Options,
}
