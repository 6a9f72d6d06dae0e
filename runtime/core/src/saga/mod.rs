//! Sagas: processes that go on from event to event, one for each key, and that end well or are undone.
//!
//! A saga is a handler whose state is one of several types. For each of its states and each of its events it says what happens: a step,
//! nothing, or that the event waits until the state changes. What it forgot to say is an error when the service is built. Instances,
//! what is to be undone, and events that wait are state and timers like any others, so whatever holds for those holds for sagas.

mod builder;
mod graph;
mod instance;
mod next;
mod process;
mod reaction;
mod route;
pub(crate) mod stored;
mod undoing;
mod waiting;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::event::Event;
use crate::handler::HandlerError;
use crate::state::{Unreadable, decode};

pub use builder::{SagaBuilder, StateBuilder};
pub use graph::Graph;
pub use instance::{Happened, Instance, Status, instance};
pub use next::{Leads, Next};
pub use process::Missing;

/// What a service knows of one of its sagas.
pub(crate) struct About {
    pub(crate) graph: Graph,
    /// What stored instances have to agree with: the same text for the same declaration.
    pub(crate) shape: String,
    /// Whether this build can go on with a stored instance; else why not.
    pub(crate) check: Check,
}

/// Says why something is not as it has to be.
type Check = Box<dyn Fn(&Instance) -> Result<(), String> + Send + Sync>;

/// A state of a saga, with what is kept in it.
pub trait State: Serialize + DeserializeOwned + 'static {
    /// Its name, which stands in what is stored: renaming the type changes nothing.
    const NAME: &'static str;
    /// The version of what is kept in it. Fields may be added with `#[serde(default)]` without another version.
    const VERSION: u32 = 1;

    /// Makes it of what an older version stored. An instance that cannot be read stops its shard (TM-0505).
    fn migrate(version: u32, _stored: Stored<'_>) -> Result<Self, Unreadable> {
        Err(Unreadable::version(Self::NAME, version, Self::VERSION))
    }
}

/// What is stored of an older version of a state.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a>(pub(crate) &'a [u8]);

impl Stored<'_> {
    /// It, as the type that it was.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, Unreadable> {
        decode(self.0)
    }
}

/// What undoes a step: its name, and what it has to know.
pub trait Compensation: Serialize + DeserializeOwned + 'static {
    /// Its name, which stands in what is stored.
    const NAME: &'static str;
}

/// An event begins an instance where there is none.
#[async_trait(?Send)]
pub trait Begin<E: Event>: Send + Sync + 'static {
    /// The first step. A permanent failure makes the event a dead letter, and begins nothing.
    async fn begin(&self, event: &E, cx: &mut Context<'_>) -> Result<Next, HandlerError>;
}

/// What happens with an event in a state.
#[async_trait(?Send)]
pub trait Step<S: State, E: Event>: Send + Sync + 'static {
    /// A step: what it does through the context, and what comes next. A permanent failure aborts the instance: nothing of the step stays,
    /// and what was done before is undone.
    async fn step(&self, state: S, event: &E, cx: &mut Context<'_>) -> Result<Next, HandlerError>;
}

/// How something is undone.
#[async_trait(?Send)]
pub trait Undo<C: Compensation>: Send + Sync + 'static {
    /// Undoes a step, in a unit of its own. One that fails is tried again; after the last attempt, or a permanent failure, the instance
    /// needs a person.
    async fn undo(&self, compensation: C, cx: &mut Context<'_>) -> Result<(), HandlerError>;
}
