//! `pause` and `resume`: whether a service begins anything new, in all its instances.

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};

use crate::command::{Output, print, print_json};
use crate::host::Host;

#[derive(Serialize)]
struct Line {
    service: String,
    paused: bool,
    /// Whether it was not so before.
    changed: bool,
}

pub(super) async fn set(host: &Host, paused: bool, output: Output) -> Result<Exit, Coded> {
    host.prepare().await?;
    let mut lines = Vec::new();
    for service in host.services() {
        let changed = host.broker().pause(service.name(), paused).await?;
        lines.push(Line { service: service.name().to_string(), paused, changed });
    }
    match output {
        Output::Json => print_json(&lines)?,
        Output::Table => lines.iter().try_for_each(|line| print(text(line)))?,
    }
    Ok(Exit::Done)
}

fn text(Line { service, paused, changed }: &Line) -> String {
    match (paused, changed) {
        (true, true) => format!("{service} is paused; what is under way ends and is committed"),
        (true, false) => format!("{service} was paused before"),
        (false, true) => format!("{service} goes on"),
        (false, false) => format!("{service} was not paused"),
    }
}
