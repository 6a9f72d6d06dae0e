//! `relay`: sends what lies in an outbox, and nothing else.

use clap::Subcommand;
use tidemill_core::code::{Coded, Exit};

use crate::command::Options;
use crate::config::Configuration;
use crate::host::{Host, Until};

/// The body of `relay`: sends what lies in the outbox of the place that `state` names.
#[derive(Debug, Subcommand)]
pub enum Relay {
    /// Send until SIGTERM or ctrl-c. Several may run at a time: one sends, and the others go on where it ends.
    Run(Asked),
}

/// Options of `relay run`.
#[derive(Debug, clap::Args)]
pub struct Asked {
    #[command(flatten)]
    options: Options,
}

impl Relay {
    /// Does what is asked for.
    pub(super) async fn carry_out(self) -> Result<Exit, Coded> {
        let Self::Run(Asked { options }) = self;
        let configuration = Configuration::load(&options)?.with("outbox.relay", "on")?;
        let host = Host::open(configuration)?;
        host.needs_outbox()?;
        host.run(Until::Stopped).await
    }
}
