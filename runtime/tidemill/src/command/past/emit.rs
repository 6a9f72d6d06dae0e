//! `replay --emit`: what a replay emits, published for real.

use clap::Args;
use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::replay::Told;

use crate::command::decision::Decision;
use crate::command::{print, print_json};
use crate::host::Host;
use crate::replay::{Replay, Sent};

/// Options of `replay --emit`.
#[derive(Debug, Args)]
pub(super) struct Emit {
    /// Publish what is emitted into the topic that `--into` names. Without `--execute`, say how much that is.
    #[arg(long = "emit", id = "emit", requires = "into", conflicts_with_all = ["diff", "limit"])]
    is_wanted: bool,
    /// The topic that events go to, whatever theirs is.
    #[arg(long, value_name = "TOPIC", requires = "emit")]
    into: Option<String>,
    #[command(flatten)]
    decision: Decision,
}

#[derive(Serialize)]
pub(super) struct Done {
    service: String,
    into: String,
    records: u64,
    failing: u64,
    emitted: u64,
    executed: bool,
}

impl Emit {
    /// Whether it is wanted. What is decided of it without it is an error (TM-0102).
    pub(super) fn is_wanted(&self) -> Result<bool, Coded> {
        if !self.is_wanted && (self.decision.execute || self.decision.reason.is_some()) {
            let message = "--execute and --reason are about what --emit publishes";
            return Err(Coded::new(Code::BAD_VALUE, message));
        }
        Ok(self.is_wanted)
    }

    pub(super) async fn carry_out(
        &self,
        host: &Host,
        replay: &Replay,
        is_meant: impl FnMut(&Told) -> bool,
    ) -> Result<Done, Coded> {
        let into = self.into.clone().unwrap_or_default();
        let order = self.decision.execute.then(|| self.decision.order(host.clock().now()));
        let Sent { units: records, failing, events: emitted } = replay.emit(&into, order.as_ref(), is_meant).await?;
        let service = replay.service().name().to_string();
        Ok(Done { service, into, records, failing, emitted, executed: self.decision.execute })
    }
}

/// Says what was done, or would be.
pub(super) fn told(all: &[Done], is_table: bool) -> Result<Exit, Coded> {
    if all.iter().all(|done| done.records == 0) {
        return Err(Coded::new(Code::NOTHING_MATCHES, "no unit is in the range of which that holds"));
    }
    if !is_table {
        print_json(&all)?;
        return Ok(Exit::Done);
    }
    for Done { service, into, records, failing, emitted, executed } in all {
        let did = if *executed { "published into" } else { "would go into" };
        print(format!("{service}: {emitted} events of {records} units {did} {into}; {failing} units fail"))?;
    }
    if all.iter().any(|done| !done.executed) {
        print("nothing was published; --execute --reason TEXT does")?;
    }
    Ok(Exit::Done)
}
