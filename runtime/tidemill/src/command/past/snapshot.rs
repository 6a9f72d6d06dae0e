//! `snapshot create`: the state that services have now, for replays to begin with.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::service::ServiceBuilder;

use crate::command::site::{Place, Site};
use crate::command::{Output, print, print_json};
use crate::replay::snapshot::{self, Taken};

/// What can be done with snapshots.
#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// Write the state that the service has now, for replays to begin with. The service may run.
    Create(Create),
}

/// Options of `snapshot create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The folder in which snapshots lie, instead of the one that the key `snapshots` names.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    #[arg(long = "output", value_enum, default_value_t, id = "form")]
    output: Output,
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct Made {
    service: String,
    path: PathBuf,
    shards: Vec<Taken>,
}

impl Snapshot {
    /// Writes one for each of these services, or those among them that `--service` names.
    pub(super) async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let Self::Create(Create { into, output, place }) = self;
        let site = Site::open(&place, services)?;
        let configured = || site.host.configuration().given("snapshots").map(PathBuf::from);
        let folder = into.or_else(configured).ok_or_else(|| {
            let message = "it has to be said where snapshots lie: --into DIR, or the key snapshots";
            Coded::new(Code::BAD_VALUE, message)
        })?;
        let mut all = Vec::new();
        for name in &site.names {
            let at = site.host.clock().now();
            let (path, shards) = snapshot::create(site.host.broker(), name, at, &folder).await?;
            all.push(Made { service: name.to_string(), path, shards });
        }
        match output {
            Output::Json => print_json(&all)?,
            Output::Table => all.iter().try_for_each(|Made { service, path, shards }| {
                let entries: u64 = shards.iter().map(|shard| shard.entries).sum();
                let shards = shards.len();
                print(format!("{service}: {entries} entries of {shards} shards in {}", path.display()))
            })?,
        }
        Ok(Exit::Done)
    }
}
