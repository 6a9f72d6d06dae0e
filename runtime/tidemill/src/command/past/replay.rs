//! `replay`: what a service did, done again with this build, and compared with what it emitted then.

use clap::Args;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::service::ServiceBuilder;

use super::emit::{self, Emit};
use super::fact::is_meant;
use super::report::Report;
use super::{Form, Selected, Within, watched};
use crate::command::site::Site;
use crate::replay::Replay as Replayed;

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    within: Within,
    #[command(flatten)]
    selected: Selected,
    /// Compare what is emitted with what was emitted then. The exit code is 1 where anything differs.
    #[arg(long)]
    diff: bool,
    /// A field that may differ: `key`, `header.NAME` or the path of a field of the value. May be repeated.
    #[arg(long, value_name = "FIELD", requires = "diff")]
    ignore: Vec<String>,
    /// Show so many units at the most.
    #[arg(long, value_name = "N", conflicts_with = "diff")]
    limit: Option<u64>,
    #[command(flatten)]
    emit: Emit,
    #[arg(long = "output", value_enum, default_value_t, id = "form")]
    form: Form,
}

impl Replay {
    /// Replays these services, or those among them that `--service` names.
    pub(super) async fn carry_out(mut self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let (state, emits) = (self.within.takes_state(), self.emit.is_wanted()?);
        let site = Site::open(&self.within.place, services)?;
        let mut report = Report::new(self.form, self.selected.which.filter.clone(), self.limit);
        let mut sent = Vec::new();
        for name in &site.names {
            let replay = self.within.of(Replayed::of(&site.host, name)?, state).select(self.selected.selection());
            let work = async {
                if emits {
                    let filter = self.selected.which.filter.as_ref();
                    sent.push(self.emit.carry_out(&site.host, &replay, |told| is_meant(filter, name, told)).await?);
                    Ok(())
                } else if self.diff {
                    let comparison = replay.diff(&self.ignore).await?;
                    report.compared(name, comparison)
                } else {
                    report.run(name, &replay).await
                }
            };
            watched(&**site.host.clock(), &replay, work).await?;
        }
        if emits {
            return emit::told(&sent, self.form == Form::Table);
        }
        if report.is_empty() && self.selected.names_one() {
            let message = "no unit of that event or key is in the range";
            return Err(Coded::new(Code::NOTHING_MATCHES, message));
        }
        report.end()
    }
}
