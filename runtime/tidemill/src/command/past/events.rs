//! `events export`: records into a file, from which replays run far from any broker.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use tidemill_core::code::{Coded, Exit};
use tidemill_core::service::ServiceBuilder;

use super::Within;
use crate::command::site::Site;
use crate::command::{Output, print, print_json};
use crate::replay::{Replay, State, export};

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// Write what a replay of a range needs to a file: records that came in, the journal, and what was emitted.
    Export(Export),
}

/// Options of `events export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The file to write. Commands read it as the broker `jsonl:FILE`.
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
    #[arg(long = "output", value_enum, default_value_t, id = "form")]
    output: Output,
    #[command(flatten)]
    within: Within,
}

#[derive(Serialize)]
struct Exported {
    records: u64,
    into: PathBuf,
}

impl Events {
    /// Writes what these services had and did, or those among them that `--service` names.
    pub(super) async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let Self::Export(Export { into, output, within }) = self;
        let site = Site::open(&within.place, services)?;
        let replays = site.names.iter().map(|name| Ok(within.of(Replay::of(&site.host, name)?, State::AsOf)));
        let replays: Vec<Replay> = replays.collect::<Result<_, Coded>>()?;
        let records = export(&replays, &into).await?;
        match output {
            Output::Json => print_json(&Exported { records, into })?,
            Output::Table => print(format!("{records} records written to {}", into.display()))?,
        }
        Ok(Exit::Done)
    }
}
