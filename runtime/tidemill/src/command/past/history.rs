//! `history`: what happened to one key, unit by unit, as a tree.

use std::ops::ControlFlow;

use clap::Args;
use serde::Serialize;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::service::ServiceBuilder;

use super::{Within, watched};
use crate::command::site::Site;
use crate::command::{Output, print, print_json};
use crate::replay::{Replay, Selection, Shown};
use crate::telemetry;

/// Options of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// The key.
    #[arg(long, value_name = "KEY")]
    key: String,
    #[command(flatten)]
    within: Within,
    #[arg(long = "output", value_enum, default_value_t, id = "form")]
    output: Output,
}

/// What happened to a key in one service.
#[derive(Serialize)]
struct Of {
    service: String,
    units: Vec<Shown>,
}

impl History {
    /// Shows it for these services, or those among them that `--service` names.
    pub(super) async fn carry_out(mut self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let state = self.within.takes_state();
        let site = Site::open(&self.within.place, services)?;
        let mut all = Vec::new();
        for name in &site.names {
            let selection = Selection { key: Some(self.key.clone().into_bytes()), ..Selection::default() };
            let replay = self.within.of(Replay::of(&site.host, name)?, state).select(selection);
            let (service, mut units) = (replay.service().clone(), Vec::new());
            let _capture = telemetry::capture();
            let work = replay.run(|told, took| {
                units.push(Shown::of(&service, &told, telemetry::captured(), took));
                Ok(ControlFlow::Continue(()))
            });
            watched(&**site.host.clock(), &replay, work).await?;
            if !units.is_empty() {
                all.push(Of { service: name.to_string(), units });
            }
        }
        if all.is_empty() {
            let message = format!("nothing in the range has key {}", self.key);
            return Err(Coded::new(Code::NOTHING_MATCHES, message));
        }
        match self.output {
            Output::Json => print_json(&all)?,
            Output::Table => all.iter().try_for_each(|of| print(of.tree()))?,
        }
        Ok(Exit::Done)
    }
}

impl Of {
    fn tree(&self) -> String {
        let mut lines = vec![self.service.clone()];
        for (place, unit) in self.units.iter().enumerate() {
            let is_last = place + 1 == self.units.len();
            let (branch, trunk) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let Shown { at, handler, event, position, attempt, then, .. } = unit;
            let attempts = if *attempt == 1 { String::new() } else { format!(", attempt {attempt}") };
            lines.push(format!("{branch}{at}  {handler}: {event}  {position}  {then}{attempts}"));
            lines.extend(unit.details().iter().map(|line| format!("{trunk}  {line}")));
        }
        lines.join("\n")
    }
}
