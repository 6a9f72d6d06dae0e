//! The declaration of a saga.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::code::{Code, Coded};
use crate::codec::Codec;
use crate::emitted::Emitted;
use crate::event::Event;
use crate::failure::Policies;
use crate::handler::{Reader, Reads, Route};
use crate::internal::COMMAND;
use crate::retry::Retry;
use crate::saga::graph::{Edge, Graph};
use crate::saga::next::Leads;
use crate::saga::process::{Beginning, Missing, Process, Reaction, Stated};
use crate::saga::reaction::{StepOf, UndoOf, looks};
use crate::saga::route::{OwnRoute, Rekey, SagaRoute};
use crate::saga::undoing::OWN;
use crate::saga::{About, Begin, Compensation, State, Step, Undo};
use crate::service::declared::{Declared, HandlerBuilder, Taken, Timer};

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
    /// Who takes it from its topic, if its records stand under another key there than its instance.
    rekeyed: Option<Declared>,
}

/// Declares one saga of a service: its states, and what each event means in each of them.
pub struct SagaBuilder<G> {
    source: String,
    process: Process<G>,
    /// Its name, and what is said of it as of any handler.
    declared: Declared,
    events: Vec<Known>,
    graph: Graph,
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
            states: BTreeMap::new(),
            undo: BTreeMap::new(),
            retry: UNDO_RETRY,
            kept: KEPT,
        };
        let declared = Declared::new(name);
        Self { source, process, declared, events: Vec::new(), graph: Graph::default(), wrong: Vec::new() }
    }

    /// Events of type `E` begin an instance where there is none, and lead to these places. Every state says what another one means.
    pub fn begins_with<E: Event>(mut self, leads: impl IntoIterator<Item = Leads>) -> Self
    where
        G: Begin<E>,
    {
        if let Some(reads) = self.reads::<E>() {
            let leads: Vec<_> = leads.into_iter().collect();
            self.graph.edges.push(Edge { from: None, event: E::NAME, leads: leads.clone() });
            let before = self.process.begins.insert(E::NAME, Beginning { begin: Box::new(reads), leads });
            if before.is_some() || self.process.missing.contains_key(E::NAME) {
                self.wrong.push(format!("it says twice what {} means where there is no instance", E::NAME));
            }
        }
        self
    }

    /// Records of type `E` stand under another key than the one of their instance, which this says. A handler that is called as the saga,
    /// with `.` and the event's name in small letters behind it, takes them from their topic and hands them on through the service's
    /// internal topic, under that key. There they are in the order in which they were handed on.
    pub fn keyed_by<E: Event, K: Into<Vec<u8>> + 'static>(mut self, key: fn(&E) -> K) -> Self {
        if E::TOPIC.is_empty() || self.events.iter().any(|known| known.event == E::NAME && known.rekeyed.is_some()) {
            self.wrong.push(format!("{} has no topic, or is keyed twice", E::NAME));
        }
        if self.reads::<E>().is_some() {
            let saga = Arc::clone(&self.declared.name);
            let name = format!("{saga}.{}", E::NAME.to_ascii_lowercase());
            let handler = HandlerBuilder::new(name.into(), self.source.clone(), Rekey { saga, key });
            let known = self.events.iter_mut().find(|known| known.event == E::NAME).expect("it was added");
            known.rekeyed = Some(Declared { hands_on: true, ..handler.on::<E>().declared });
        }
        self
    }

    /// What an event of type `E` means where there is no instance.
    pub fn missing<E: Event>(mut self, missing: Missing) -> Self {
        if self.process.missing.insert(E::NAME, missing).is_some() || self.process.begins.contains_key(E::NAME) {
            self.wrong.push(format!("it says twice what {} means where there is no instance", E::NAME));
        }
        self
    }

    /// A state, and what events mean in it.
    pub fn state<S: State>(mut self, declare: impl FnOnce(StateBuilder<G, S>) -> StateBuilder<G, S>) -> Self {
        let stated = Stated { version: S::VERSION, looks: looks::<S>, reactions: BTreeMap::new() };
        if self.process.states.insert(S::NAME, stated).is_some() {
            self.wrong.push(format!("it has two states called {}", S::NAME));
        }
        self.graph.states.push(S::NAME);
        declare(StateBuilder { saga: self, state: PhantomData }).saga
    }

    /// How what `C` tells of is undone.
    pub fn undo<C: Compensation>(mut self) -> Self
    where
        G: Undo<C>,
    {
        if self.process.undo.insert(C::NAME, Box::new(UndoOf::<C>(PhantomData))).is_some() {
            self.wrong.push(format!("{} is undone in two ways", C::NAME));
        }
        self.graph.undo.push(C::NAME);
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

    /// How long one step may take, as [`HandlerBuilder::timeout`](crate::service::HandlerBuilder::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.declared.timeout = Some(timeout);
        self
    }

    /// What follows when steps fail, as [`HandlerBuilder::failures`](crate::service::HandlerBuilder::failures). A permanent failure
    /// undoes the instance, whatever is said here.
    pub fn failures(mut self, policies: Policies) -> Self {
        self.declared.policies = Some(policies);
        self
    }

    /// Steps need something from outside, as [`HandlerBuilder::needs`](crate::service::HandlerBuilder::needs).
    pub fn needs(mut self, dependency: impl Into<Arc<str>>) -> Self {
        self.declared.needs.push(dependency.into());
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
                rekeyed: None,
            });
        }
        let known = self.events.iter().find(|known| known.event == E::NAME).expect("it was added");
        if known.type_id != TypeId::of::<E>() {
            self.wrong.push(format!("two types are called {}", E::NAME));
            return None;
        }
        let reader: Arc<dyn Any + Send + Sync> = Arc::clone(known.reader.as_ref().ok()?) as _;
        Some(reader.downcast().expect("it is of that type"))
    }

    fn react<E: Event>(&mut self, state: &'static str, reaction: Reaction<G>) {
        let stated = self.process.states.get_mut(state).expect("it is being declared");
        if stated.reactions.insert(E::NAME, reaction).is_some() {
            self.wrong.push(format!("state {state} says twice what happens with {}", E::NAME));
        }
    }

    /// What the saga forgot to say, or said twice.
    fn check(&self) -> Result<(), Coded> {
        let bad = |what: String| Err(Coded::new(Code::BAD_SERVICE, format!("saga {}: {what}", self.declared.name)));
        for known in &self.events {
            known.reader.as_ref().map_err(Clone::clone)?;
            known.emitted.as_ref().map_err(Clone::clone)?;
        }
        if let Some(wrong) = self.wrong.first() {
            return bad(wrong.clone());
        }
        if self.process.begins.is_empty() {
            return bad("nothing begins it; add .begins_with::<…>()".to_owned());
        }
        for state in &self.graph.states {
            let reactions = &self.process.states[state].reactions;
            let silent = self.events.iter().find(|known| !reactions.contains_key(known.event));
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
        if let Some((Edge { from, event, .. }, state)) = self.graph.unknown() {
            let from = from.unwrap_or("the beginning");
            return bad(format!("{event} leads from {from} to state {state}, which is not declared"));
        }
        if let Some(state) = self.graph.unreachable() {
            return bad(format!("no event leads to state {state}"));
        }
        let events: BTreeSet<&str> = self.events.iter().map(|known| known.event).collect();
        match self.process.missing.keys().find(|event| !events.contains(**event)) {
            Some(event) => bad(format!("it says what a missing instance means for {event}, which no state takes")),
            None => Ok(()),
        }
    }

    /// The saga as a handler, and those that hand its events on to it.
    pub(crate) fn declared(self) -> Vec<Declared> {
        let checked = self.check();
        let process = Arc::new(self.process);
        let (shape, knows) = (process.shape(), Arc::clone(&process));
        let check = Box::new(move |instance: &_| knows.can_go_on(instance));
        let saga = Some(About { graph: self.graph, shape, check });
        let mut declared = Declared { saga, ..self.declared };
        let mut rekeying = Vec::new();
        for known in self.events {
            let Known { topic, event, version, content_type, reader, emitted, rekeyed, .. } = known;
            let taken = |topic: &str, route| Taken { topic: topic.into(), event, version, content_type, route };
            let own = || {
                checked.clone()?;
                let (reader, process) = (reader.clone()?, Arc::clone(&process));
                Ok(Box::new(SagaRoute { reader, process, event }) as Box<dyn Route>)
            };
            match rekeyed {
                Some(handler) => {
                    declared.internal.push(taken("", own()));
                    rekeying.push(handler);
                }
                None if !topic.is_empty() => declared.takes.push(taken(topic, own())),
                None => {}
            }
            declared.timers.push(Timer { taken: taken("", own()), emitted: Some(emitted) });
        }
        for (event, is_command) in [(OWN, false), (COMMAND, true)] {
            let process = Arc::clone(&process);
            let route = checked.clone().map(|()| Box::new(OwnRoute { process, is_command }) as Box<dyn Route>);
            let taken = Taken { topic: "".into(), event, version: 1, content_type: "", route };
            if is_command {
                declared.internal.push(taken);
            } else {
                declared.timers.push(Timer { taken, emitted: None });
            }
        }
        rekeying.push(declared);
        rekeying
    }
}

impl<G: Send + Sync + 'static, S: State> StateBuilder<G, S> {
    /// An event of type `E` is a step, which leads to these places. A permanent failure of the step leads to its being undone, without it
    /// being said.
    pub fn on<E: Event>(mut self, leads: impl IntoIterator<Item = Leads>) -> Self
    where
        G: Step<S, E>,
    {
        if let Some(reads) = self.saga.reads::<E>() {
            let leads: Vec<_> = leads.into_iter().collect();
            self.saga.graph.edges.push(Edge { from: Some(S::NAME), event: E::NAME, leads: leads.clone() });
            self.saga.react::<E>(S::NAME, Reaction::Step(Arc::new(StepOf::<S, E>(reads, PhantomData)), leads));
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
        self.saga.graph.waits.push((S::NAME, E::NAME));
        self.saga.react::<E>(S::NAME, Reaction::Wait(bound));
        self
    }
}
