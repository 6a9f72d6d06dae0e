//! `journey`: the way of one event across services, as a tree.

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::journey::{Asked, Event, Fired, Turn, Unit, What, follow};
use tidemill_core::service::ServiceBuilder;
use tidemill_core::time::Timestamp;

use crate::command::site::{Place, Site};
use crate::command::{Output, print, print_json};
use crate::replay::{Edge, ended, shown};

/// Options of `journey`.
#[derive(Debug, Args)]
pub struct Journey {
    /// The id of an event, or what events have in common that belong together: the id of the first of them.
    #[arg(value_name = "ID")]
    id: String,
    /// Look only at what was written from then on, such as `@2026-11-01T10:00`. Without it, at all that there is.
    #[arg(long, value_name = "@TIME")]
    from: Option<Edge>,
    /// Look only at what was written before, such as `@2026-11-01T11:00`, or `@+15m` after the beginning.
    #[arg(long, value_name = "@TIME")]
    to: Option<Edge>,
    #[arg(long = "output", value_enum, default_value_t, id = "form")]
    output: Output,
    #[command(flatten)]
    place: Place,
}

impl Journey {
    /// Follows the event through these services, or those among them that `--service` names.
    pub(super) async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let (from, to) = self.times()?;
        let site = Site::open(&self.place, services)?;
        let asked = Asked { id: self.id.clone(), from, to };
        let topics = site.broker().topics();
        let Some(journey) = follow(site.host.services(), &topics, &asked).await? else {
            let message = format!("no event of id {} is in the topics of {}", self.id, site.names.join(", "));
            return Err(Coded::new(Code::NOTHING_MATCHES, message));
        };
        let roots = journey.roots.iter().map(|place| Node::of(&journey, *place));
        let whole = Whole { correlation: &journey.correlation, looked_at: journey.looked_at, events: roots.collect() };
        match self.output {
            Output::Json => print_json(&whole)?,
            Output::Table => print(whole.tree())?,
        }
        Ok(Exit::Done)
    }

    fn times(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), Coded> {
        let bad = || Err(Coded::new(Code::BAD_VALUE, "a journey begins and ends at times, such as @2026-11-01T10:00"));
        let from = match &self.from {
            None => None,
            Some(Edge::Time(at)) => Some(*at),
            Some(_) => return bad(),
        };
        match (&self.to, from) {
            (None, _) => Ok((from, None)),
            (Some(Edge::Time(at)), _) => Ok((from, Some(*at))),
            (Some(Edge::After(after)), Some(from)) => Ok((Some(from), Some(from + *after))),
            (Some(_), _) => bad(),
        }
    }
}

#[derive(Serialize)]
struct Whole<'j> {
    correlation: &'j str,
    /// How many records were looked at.
    looked_at: u64,
    events: Vec<Node<'j>>,
}

/// An event, and what became of it.
#[derive(Serialize)]
struct Node<'j> {
    kind: &'static str,
    #[serde(flatten)]
    event: Named<'j>,
    #[serde(flatten)]
    what: Option<Said<'j>>,
    is_asked: bool,
    units: Vec<Handled<'j>>,
}

#[derive(Serialize)]
struct Named<'j> {
    position: String,
    at: String,
    #[serde(rename = "type")]
    event: &'j str,
    id: &'j str,
    key: Value,
    source: &'j str,
}

/// What a dead letter or a command says.
#[derive(Serialize)]
#[serde(untagged)]
enum Said<'j> {
    Letter { letter: &'j str, round: u32, code: &'j str, message: &'j str },
    Command { wish: &'static str, by: &'j str, reason: &'j str },
}

#[derive(Serialize)]
struct Handled<'j> {
    service: &'j str,
    handler: &'j str,
    turns: Vec<Took>,
    events: Vec<Node<'j>>,
    timers: Vec<Fires<'j>>,
}

#[derive(Serialize)]
struct Took {
    at: String,
    attempt: u32,
    ended: String,
}

#[derive(Serialize)]
struct Fires<'j> {
    due: String,
    id: String,
    #[serde(flatten)]
    unit: Handled<'j>,
}

impl<'j> Node<'j> {
    fn of(journey: &'j tidemill_core::journey::Journey, place: usize) -> Self {
        let Event { position, at, id, event, key, source, is_asked, what, units } = &journey.events[place];
        let (kind, what) = match what {
            What::Event => ("event", None),
            What::Letter { letter, round, code, message } => {
                ("dead-letter", Some(Said::Letter { letter, round: *round, code, message }))
            }
            What::Command { wish, by, reason } => ("command", Some(Said::Command { wish, by, reason })),
        };
        Self {
            kind,
            event: Named {
                position: position.to_string(),
                at: at.to_string(),
                event,
                id,
                key: shown(key.as_deref()),
                source,
            },
            what,
            is_asked: *is_asked,
            units: units.iter().map(|unit| Handled::of(journey, *unit)).collect(),
        }
    }

    fn line(&self) -> String {
        let Named { position, at, event, id, key, .. } = &self.event;
        let mark = if self.is_asked { "* " } else { "" };
        match &self.what {
            None => {
                let key = key.as_str().unwrap_or("(none)");
                format!("{mark}{at}  {event}  {position}  key {key}  id {id}")
            }
            Some(Said::Letter { letter, round, code, message }) => {
                format!("{at}  dead letter {letter}, round {round}  {position}  {code}: {message}")
            }
            Some(Said::Command { wish, by, reason }) => format!("{at}  {wish} by {by}  {position}  {reason}"),
        }
    }

    fn lines(&self) -> Vec<Vec<String>> {
        self.units.iter().map(Handled::branch).collect()
    }
}

impl<'j> Handled<'j> {
    fn of(journey: &'j tidemill_core::journey::Journey, place: usize) -> Self {
        let Unit { service, handler, turns, events, timers } = &journey.units[place];
        let took =
            |Turn { at, attempt, ended: how }: &Turn| Took { at: at.to_string(), attempt: *attempt, ended: ended(how) };
        let fires = |Fired { due, id, unit }: &Fired| Fires {
            due: due.to_string(),
            id: id.to_string(),
            unit: Self::of(journey, *unit),
        };
        Self {
            service,
            handler,
            turns: turns.iter().map(took).collect(),
            events: events.iter().map(|place| Node::of(journey, *place)).collect(),
            timers: timers.iter().map(fires).collect(),
        }
    }

    /// Its lines, and those of what came of it.
    fn branch(&self) -> Vec<String> {
        let turn = |Took { at, attempt, ended }: &Took| {
            let attempts = if *attempt < 2 { String::new() } else { format!(", attempt {attempt}") };
            format!("{at} {ended}{attempts}")
        };
        let turns: Vec<String> = self.turns.iter().map(turn).collect();
        let handler = if self.handler.is_empty() { "(no handler)" } else { self.handler };
        let head = format!("{}/{handler}  {}", self.service, turns.join("; "));
        let events = self.events.iter().map(|node| hung(node.line(), node.lines()));
        let timers =
            self.timers.iter().map(|timer| hung(format!("timer due at {}", timer.due), vec![timer.unit.branch()]));
        hung(head, events.chain(timers).collect())
    }
}

impl Whole<'_> {
    fn tree(&self) -> String {
        let line = |node: &Node<'_>| format!("{}  from {}", node.line(), node.event.source);
        let roots = self.events.iter().map(|node| hung(line(node), node.lines()));
        hung(self.correlation.to_owned(), roots.collect()).join("\n")
    }
}

/// A line with branches.
fn hung(head: String, branches: Vec<Vec<String>>) -> Vec<String> {
    let mut lines = vec![head];
    let count = branches.len();
    for (place, branch) in branches.into_iter().enumerate() {
        let (first, rest) = if place + 1 == count { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let hang = |(line, text): (usize, String)| format!("{}{text}", if line == 0 { first } else { rest });
        lines.extend(branch.into_iter().enumerate().map(hang));
    }
    lines
}
