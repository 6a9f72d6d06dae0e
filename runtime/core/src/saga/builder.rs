//! The declaration of a saga.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::code::{Code, Coded};
use crate::codec::{Codec, CodecError};
use crate::context::Context;
use crate::emitted::Emitted;
use crate::event::Event;
use crate::handler::{Failure, Route};
use crate::retry::Retry;
use crate::saga::process::{Missing, OWN, Process, Reaction};
use crate::saga::reaction::{Begins, Reader, Reads, StepOf, UndoOf};
use crate::saga::{Begin, Compensation, State, Step, Undo};
use crate::service::declared::{Declared, Taken, Timer};

/// How often undoing something is tried, unless said otherwise.
const UNDO_RETRY: Retry =
    Retry { attempts: 8, first_delay: Duration::from_secs(1), longest_delay: Duration::from_mins(1) };
/// How long an instance that ended is kept, unless said otherwise.
const KEPT: Duration = Duration::from_hours(24);

/// One event type of the saga.
struct Known {
    topic: &'static str,
    event: &'static str,
    version: u32,
    content_type: &'static str,
    type_id: TypeId,
    reader: Result<Arc<dyn Reader>, Coded>,
    emitted: Result<Emitted, Coded>,
}

/// Declares one saga of a service: its states, and what each event means in each of them.
pub struct SagaBuilder<G> {
    name: Arc<str>,
    source: String,
    process: Process<G>,
    events: Vec<Known>,
    states: Vec<&'static str>,
    /// What contradicts itself, as it was met.
    wrong: Vec<String>,
}

/// Declares what events mean in one state.
pub struct StateBuilder<G, S> {
    saga: SagaBuilder<G>,
    state: PhantomData<fn() -> S>,
}

impl<G: Send + Sync + 'static> SagaBuilder<G> {
    pub(crate) fn new(name: Arc<str>, source: String, saga: G) -> Self {
        let process = Process {
            saga,
            begins: BTreeMap::new(),
            missing: BTreeMap::new(),
            reactions: BTreeMap::new(),
            undo: BTreeMap::new(),
            retry: UNDO_RETRY,
            kept: KEPT,
        };
        Self { name, source, process, events: Vec::new(), states: Vec::new(), wrong: Vec::new() }
    }

    /// Events of type `E` begin an instance where there is none. Every state says what another one means.
    pub fn begins_with<E: Event>(mut self) -> Self
    where
        G: Begin<E>,
    {
        if let Some(reads) = self.reads::<E>() {
            let begin: Box<dyn Begins<G>> = Box::new(reads);
            self.process.begins.insert(E::NAME, begin);
        }
        self
    }

    /// What an event of type `E` means where there is no instance.
    pub fn missing<E: Event>(mut self, missing: Missing) -> Self {
        self.process.missing.insert(E::NAME, missing);
        self
    }

    /// A state, and what events mean in it.
    pub fn state<S: State>(self, declare: impl FnOnce(StateBuilder<G, S>) -> StateBuilder<G, S>) -> Self {
        let mut saga = declare(StateBuilder { saga: self, state: PhantomData }).saga;
        if saga.states.contains(&S::NAME) {
            saga.wrong.push(format!("it has two states called {}", S::NAME));
        }
        saga.states.push(S::NAME);
        saga
    }

    /// How what `C` tells of is undone.
    pub fn undo<C: Compensation>(mut self) -> Self
    where
        G: Undo<C>,
    {
        if self.process.undo.insert(C::NAME, Box::new(UndoOf::<C>(PhantomData))).is_some() {
            self.wrong.push(format!("{} is undone in two ways", C::NAME));
        }
        self
    }

    /// How often undoing something is tried before the instance needs a person: 8 times within about four minutes unless set.
    pub fn undo_retry(mut self, retry: Retry) -> Self {
        self.process.retry = retry;
        self
    }

    /// How long an instance that ended is kept, so that what comes late finds it: longer than its longest timer; 24 h unless set.
    pub fn ends_kept(mut self, kept: Duration) -> Self {
        self.process.kept = kept;
        self
    }

    /// The event type, as all its steps share it.
    fn reads<E: Event>(&mut self) -> Option<Arc<Reads<E>>> {
        if !self.events.iter().any(|known| known.event == E::NAME) {
            self.events.push(Known {
                topic: E::TOPIC,
                event: E::NAME,
                version: E::VERSION,
                content_type: E::Codec::CONTENT_TYPE,
                type_id: TypeId::of::<E>(),
                reader: Reads::<E>::open().map(|reads| -> Arc<dyn Reader> { Arc::new(reads) }),
                emitted: Emitted::open::<E>(&self.source),
            });
        }
        let known = self.events.iter().find(|known| known.event == E::NAME).expect("it was added");
        if known.type_id != TypeId::of::<E>() {
            self.wrong.push(format!("two types are called {}", E::NAME));
            return None;
        }
        let reader = Arc::clone(known.reader.as_ref().ok()?);
        Some(reader.as_any().downcast().expect("it is of that type"))
    }

    fn react<E: Event>(&mut self, state: &'static str, reaction: Reaction<G>) {
        if self.process.reactions.insert((state, E::NAME), reaction).is_some() {
            self.wrong.push(format!("state {state} says twice what happens with {}", E::NAME));
        }
    }

    /// What the saga forgot to say, or said twice.
    fn check(&self) -> Result<(), Coded> {
        let bad = |what: String| Err(Coded::new(Code::BAD_SERVICE, format!("saga {}: {what}", self.name)));
        if let Some(wrong) = self.wrong.first() {
            return bad(wrong.clone());
        }
        if self.process.begins.is_empty() {
            return bad("nothing begins it; add .begins_with::<…>()".to_owned());
        }
        for state in &self.states {
            let silent = self.events.iter().find(|known| !self.process.reactions.contains_key(&(*state, known.event)));
            if let Some(known) = silent {
                return bad(format!("state {state} does not say what happens with {}", known.event));
            }
        }
        let says = |event: &str| self.process.begins.contains_key(event) || self.process.missing.contains_key(event);
        if let Some(known) = self.events.iter().find(|known| !says(known.event)) {
            let event = known.event;
            return bad(format!(
                "it does not say what happens with {event} where there is no instance; add .missing::<…>(…)"
            ));
        }
        let events: BTreeSet<&str> = self.events.iter().map(|known| known.event).collect();
        match self.process.missing.keys().find(|event| !events.contains(**event)) {
            Some(event) => bad(format!("it says what a missing instance means for {event}, which no state takes")),
            None => Ok(()),
        }
    }

    /// The saga as a handler.
    pub(crate) fn declared(self) -> Declared {
        let checked = self.check();
        let mut declared = Declared { is_saga: true, ..Declared::new(Arc::clone(&self.name)) };
        let process = Arc::new(self.process);
        for known in self.events {
            let Known { topic, event, version, content_type, reader, emitted, .. } = known;
            let route = |reader: &Result<Arc<dyn Reader>, Coded>| {
                checked.clone()?;
                let (reader, process) = (reader.clone()?, Arc::clone(&process));
                Ok(Box::new(SagaRoute { reader, process, event }) as Box<dyn Route>)
            };
            if !topic.is_empty() {
                declared.takes.push(Taken { topic: topic.into(), event, version, content_type, route: route(&reader) });
            }
            let taken = Taken { topic: "".into(), event, version, content_type, route: route(&reader) };
            declared.timers.push(Timer { taken, emitted: Some(emitted) });
        }
        let route = checked.map(|()| Box::new(OwnRoute(process)) as Box<dyn Route>);
        let taken = Taken { topic: "".into(), event: OWN, version: 1, content_type: "", route };
        declared.timers.push(Timer { taken, emitted: None });
        declared
    }
}

impl<G: Send + Sync + 'static, S: State> StateBuilder<G, S> {
    /// An event of type `E` is a step.
    pub fn on<E: Event>(mut self) -> Self
    where
        G: Step<S, E>,
    {
        if let Some(reads) = self.saga.reads::<E>() {
            self.saga.react::<E>(S::NAME, Reaction::Step(Arc::new(StepOf::<S, E>(reads, PhantomData))));
        }
        self
    }

    /// An event of type `E` means nothing.
    pub fn ignore<E: Event>(mut self) -> Self {
        self.saga.reads::<E>();
        self.saga.react::<E>(S::NAME, Reaction::Ignore);
        self
    }

    /// An event of type `E` comes too early: it waits until the state changes, for so long at the most, and is a dead letter then.
    pub fn wait<E: Event>(mut self, bound: Duration) -> Self {
        self.saga.reads::<E>();
        self.saga.react::<E>(S::NAME, Reaction::Wait(bound));
        self
    }
}

/// From a record to what its event means in the state of its instance.
struct SagaRoute<G> {
    reader: Arc<dyn Reader>,
    process: Arc<Process<G>>,
    event: &'static str,
}

impl<G: Send + Sync + 'static> Route for SagaRoute<G> {
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.process.take(self.event, value, cx))
    }

    fn check(&self, value: &Bytes) -> Result<(), CodecError> {
        self.reader.check(value)
    }

    fn names(&self, value: &Bytes) -> Option<Vec<u8>> {
        self.reader.names(value)
    }

    fn missing(&self, value: &[u8]) -> Option<u32> {
        self.reader.missing(value)
    }

    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError> {
        self.reader.learn(id, schema)
    }
}

/// From a saga's own timer to what it does by itself.
struct OwnRoute<G>(Arc<Process<G>>);

impl<G: Send + Sync + 'static> Route for OwnRoute<G> {
    fn call<'a>(&'a self, value: &'a Bytes, cx: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.0.own(value, cx))
    }

    fn check(&self, _value: &Bytes) -> Result<(), CodecError> {
        Ok(())
    }

    fn names(&self, _value: &Bytes) -> Option<Vec<u8>> {
        None
    }

    fn missing(&self, _value: &[u8]) -> Option<u32> {
        None
    }

    fn learn(&self, _id: u32, _schema: &str) -> Result<(), CodecError> {
        Ok(())
    }
}
