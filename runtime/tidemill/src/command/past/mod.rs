//! What happened: done again, followed across services, taken into a file of its own.

mod case;
mod emit;
mod events;
mod fact;
mod history;
mod journey;
mod replay;
mod report;
mod snapshot;
mod watched;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tidemill_core::code::{Coded, Exit};
use tidemill_core::service::ServiceBuilder;

use crate::command::operate::Which;
use crate::command::site::Place;
use crate::replay::{Edge, Range, Replay, Selection, State};
use watched::watched;

/// What can be done with what happened.
#[derive(Debug, Subcommand)]
pub enum Past {
    /// Do again what the service did, with this build: nothing leaves, and what it emits can be compared with what it emitted then.
    Replay(Box<replay::Replay>),
    /// Show as a tree what happened to one key, unit by unit.
    History(Box<history::History>),
    /// Follow one event across services, by what stands in the logs: who took it, with how many attempts, and what came of it.
    Journey(Box<journey::Journey>),
    /// Snapshots of state, which replays begin with.
    #[command(subcommand)]
    Snapshot(Box<snapshot::Snapshot>),
    /// Records in a file, from which replays run far from any broker.
    #[command(subcommand)]
    Events(Box<events::Events>),
    /// Take one unit with all that it needs to run again into a file.
    Capture(Box<case::Capture>),
    /// Run the unit of such a file alone, without broker or database: under a debugger, if that is wanted.
    Debug(Box<case::Debug>),
    /// Write a test that runs the unit of such a file.
    Testcase(Box<case::Testcase>),
}

impl Past {
    /// Does it for these services, or those among them that `--service` names.
    pub async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        match self {
            Self::Replay(command) => command.carry_out(services).await,
            Self::History(command) => command.carry_out(services).await,
            Self::Journey(command) => command.carry_out(services).await,
            Self::Snapshot(command) => command.carry_out(services).await,
            Self::Events(command) => command.carry_out(services).await,
            Self::Capture(command) => command.carry_out(services).await,
            Self::Debug(command) => command.carry_out(services).await,
            Self::Testcase(command) => command.carry_out(services).await,
        }
    }
}

/// The form of what is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    #[default]
    Table,
    /// For programs: one object.
    Json,
    /// For programs: one object a line, the summary last.
    Jsonl,
}

/// With which state it begins. Elsewhere `--state` says where state is kept.
const STATES: [(&str, State); 3] = [("as-of", State::AsOf), ("empty", State::Empty), ("current", State::Current)];

/// Which part of what services did.
#[derive(Debug, Args)]
struct Within {
    /// Begin with this: an offset of every partition, a record such as `orders-0@17`, or a time such as `@2026-11-01T10:00`.
    #[arg(long, value_name = "WHERE")]
    from: Option<Edge>,
    /// End before this, in the same forms, or `@+15m` after the beginning.
    #[arg(long, value_name = "WHERE")]
    to: Option<Edge>,
    /// Only the last so many records of each input partition.
    #[arg(long, value_name = "N", conflicts_with = "from")]
    last: Option<u64>,
    /// The folder in which snapshots lie, instead of the one that the key `snapshots` names.
    #[arg(long, value_name = "DIR")]
    snapshots: Option<PathBuf>,
    /// Let handlers call outside where no answer was kept.
    #[arg(long)]
    allow_calls: bool,
    #[command(flatten)]
    place: Place,
}

impl Within {
    /// A replay of it. `--state as-of`, `--state empty` and `--state current` say with which state it begins.
    fn of(&self, replay: Replay, state: State) -> Replay {
        let range = Range { from: self.from.clone(), to: self.to.clone(), last: self.last };
        let replay = replay.range(range).allow_calls(self.allow_calls).state(state);
        self.snapshots.iter().fold(replay, Replay::snapshots)
    }

    /// Takes the state to begin with from the options.
    fn takes_state(&mut self) -> State {
        let found = STATES.iter().find(|(word, _)| self.place.takes_state(word));
        found.map_or_else(State::default, |(_, state)| *state)
    }
}

/// Which of the units.
#[derive(Debug, Args)]
struct Selected {
    /// Only units of this key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only units of events of this type. May be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only the unit of the event with this id.
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    #[command(flatten)]
    which: Which,
}

impl Selected {
    fn selection(&self) -> Selection {
        Selection {
            key: self.key.clone().map(String::into_bytes),
            types: self.types.clone(),
            id: self.event_id.clone(),
        }
    }

    /// Whether something is asked for that has to be there.
    fn names_one(&self) -> bool {
        self.event_id.is_some() || self.key.is_some()
    }
}
