//! The declaration of a service.

use std::sync::Arc;
use std::time::Duration;

use crate::code::{Code, Coded};
use crate::emitted::Emitted;
use crate::event::Event;
use crate::failure::Policies;
use crate::handler::Handler;
use crate::id::IdScope;
use crate::internal;
use crate::layer::Layer;
use crate::letters::Compatibility;
use crate::limits::{Limits, NAME_LIMIT};
use crate::ports::Start;
use crate::saga::SagaBuilder;
use crate::service::declared::{Declared, HandlerBuilder, Taken, Timer};
use crate::service::{Input, Registered, RouteEntry, Service, Unknown, source};

/// Declares a service. What contradicts itself is found by [`ServiceBuilder::build`].
pub struct ServiceBuilder {
    name: Arc<str>,
    handlers: Vec<Declared>,
    emits: Vec<Result<(Emitted, Arc<str>), Coded>>,
    raw_outputs: Vec<Arc<str>>,
    ignored: Vec<Arc<str>>,
    layers: Vec<Arc<dyn Layer>>,
    policies: Policies,
    letter_headers: Compatibility,
    journal: bool,
    limits: Limits,
    start: Start,
}

impl ServiceBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            handlers: Vec::new(),
            emits: Vec::new(),
            raw_outputs: Vec::new(),
            ignored: Vec::new(),
            layers: Vec::new(),
            policies: Policies::default(),
            letter_headers: Compatibility::default(),
            journal: true,
            limits: Limits::default(),
            start: Start::Earliest,
        }
    }

    /// The name given to this service.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Adds a handler for one event type. The name stands in state and ids: choose it once.
    pub fn on<E: Event>(self, name: impl Into<Arc<str>>, handler: impl Handler<E>) -> Self {
        self.handler(name, handler, HandlerBuilder::on::<E>)
    }

    /// Adds a handler and says what it takes:
    /// `.handler("stock", Stock, |h| h.on::<OrderPlaced>().on::<OrderCancelled>())`.
    pub fn handler<H: Send + Sync + 'static>(
        mut self,
        name: impl Into<Arc<str>>,
        handler: H,
        declare: impl FnOnce(HandlerBuilder<H>) -> HandlerBuilder<H>,
    ) -> Self {
        let builder = HandlerBuilder::new(name.into(), source(&self.name), handler);
        self.handlers.push(declare(builder).declared);
        self
    }

    /// Adds a saga, and says what its events mean in its states. The name stands in state and ids: choose it once.
    pub fn saga<G: Send + Sync + 'static>(
        mut self,
        name: impl Into<Arc<str>>,
        saga: G,
        declare: impl FnOnce(SagaBuilder<G>) -> SagaBuilder<G>,
    ) -> Self {
        let builder = SagaBuilder::new(name.into(), source(&self.name), saga);
        self.handlers.extend(declare(builder).declared());
        self
    }

    /// Handlers of this service may emit events of type `E`.
    pub fn emits<E: Event>(mut self) -> Self {
        let opened = Emitted::to_topic::<E>(&source(&self.name));
        self.emits.push(opened.map(|emitted| (emitted, Arc::from(E::TOPIC))));
        self
    }

    /// Handlers of this service may write records of their own making to this topic.
    pub fn emits_to(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.raw_outputs.push(topic.into());
        self
    }

    /// Records of unknown event types in this input topic are somebody else's and no error.
    pub fn ignore_unknown(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.ignored.push(topic.into());
        self
    }

    /// Puts a layer around every handler, inside those put before.
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// What follows failures of handlers that do not say it.
    pub fn failures(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Changes what follows failures, of the service and of all handlers that were added so far: for what is configured.
    #[must_use]
    pub fn change_failures(mut self, mut change: impl FnMut(Option<&str>, &mut Policies)) -> Self {
        change(None, &mut self.policies);
        for handler in &mut self.handlers {
            let mut policies = handler.policies.clone().unwrap_or_else(|| self.policies.clone());
            change(Some(&handler.name), &mut policies);
            handler.policies = Some(policies);
        }
        self
    }

    /// The headers of other tools that dead letters carry beside our own; none unless set.
    pub fn letter_headers(mut self, headers: Compatibility) -> Self {
        self.letter_headers = headers;
        self
    }

    /// Whether the service keeps a journal, which a replay follows; it does unless this says otherwise.
    pub fn journal(mut self, journal: bool) -> Self {
        self.journal = journal;
        self
    }

    /// The bounds as declared so far.
    pub fn declared_limits(&self) -> &Limits {
        &self.limits
    }

    /// The bounds of the service's workers.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the service begins in a partition of which its group has done nothing yet; at the oldest record unless set. The
    /// place is committed at once, so that a restart does not choose another one.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Checks the declaration and makes the service.
    pub fn build(mut self) -> Result<Service, Coded> {
        let bad = |message: String| Coded::new(Code::BAD_SERVICE, message);
        check_name("service", &self.name)?;
        if self.handlers.is_empty() {
            return Err(bad(format!("service {} has no handler", self.name)));
        }
        let (mut handlers, mut inputs) = (Vec::<Registered>::new(), Vec::<Input>::new());
        let mut timers = Input::new(internal::timers(&self.name).into());
        let mut own = Input::new(internal::internal(&self.name).into());
        let mut scheduled = Vec::new();
        let mut dependencies = Vec::new();
        let nobody = Declared { inbox: false, ..Declared::new("".into()) };
        let unhandled = Registered { layers: Vec::new(), ..self.registered(nobody, Vec::new())? };
        for mut declared in std::mem::take(&mut self.handlers) {
            check_name("handler", &declared.name)?;
            if handlers.iter().any(|known| known.name == declared.name) {
                return Err(bad(format!("service {} has two handlers called {}", self.name, declared.name)));
            }
            let own_timers = std::mem::take(&mut declared.timers);
            take_timers(&mut timers, &mut scheduled, own_timers, handlers.len())?;
            if declared.hands_on {
                self.raw_outputs.push(Arc::clone(&own.topic));
            }
            let internal = std::mem::take(&mut declared.internal);
            if declared.takes.is_empty() && internal.is_empty() {
                return Err(bad(format!("handler {} of service {} takes no event", declared.name, self.name)));
            }
            for taken in internal {
                own.routes.push(taken.into_entry(handlers.len())?);
            }
            let takes = std::mem::take(&mut declared.takes);
            take_inputs(&mut inputs, takes, handlers.len(), &declared.name)?;
            let needs = declared.needs.iter().map(|name| place_in(&mut dependencies, name)).collect();
            handlers.push(self.registered(declared, needs)?);
        }
        for topic in &self.ignored {
            let input = inputs.iter_mut().find(|input| input.topic == *topic);
            let input = input.ok_or_else(|| bad(format!("service {} does not read {topic}", self.name)))?;
            input.unknown = Unknown::Ignore;
        }
        let kept = self.kept_topics();
        let raw = self.raw_outputs.into_iter().chain(kept.iter().cloned()).collect();
        let (emits, output_topics) = collect_outputs(self.emits, raw)?;
        let kept: Vec<u16> = kept.iter().map(|topic| place_of(&output_topics, topic)).collect();
        if inputs.iter().any(|input| input.topic == own.topic) {
            return Err(bad(format!("service {} cannot read {}, which is its own", self.name, own.topic)));
        }
        inputs.push(own);
        Ok(Service {
            unhandled,
            timers,
            scheduled,
            internal: inputs.len() - 1,
            name: self.name,
            handlers,
            inputs,
            emits,
            output_topics,
            dependencies: dependencies.into(),
            dead_letters: kept[0],
            operations: kept[1],
            journal: kept.get(2).copied(),
            letter_headers: self.letter_headers,
            limits: self.limits,
            start: self.start,
        })
    }
}

impl ServiceBuilder {
    /// The topics that the service writes for itself: dead letters, operations, and the journal, if there is one.
    fn kept_topics(&self) -> Vec<Arc<str>> {
        let journal = self.journal.then(|| internal::journal(&self.name));
        let always = [internal::dead_letters(&self.name), internal::operations(&self.name)];
        always.into_iter().chain(journal).map(Arc::from).collect()
    }

    /// A handler with everything that the service says for all.
    fn registered(&self, declared: Declared, needs: Vec<usize>) -> Result<Registered, Coded> {
        let registered = Registered {
            ids: IdScope::of(&self.name, &declared.name),
            name: declared.name,
            saga: declared.saga,
            in_order: declared.in_order,
            inbox: declared.inbox && !self.limits.inbox_retention.is_zero(),
            timeout: declared.timeout.unwrap_or(self.limits.handler_timeout),
            policies: declared.policies.unwrap_or_else(|| self.policies.clone()),
            needs,
            layers: self.layers.iter().cloned().chain(declared.layers).collect(),
        };
        keeps_ids_long_enough(&self.name, &registered, self.limits.inbox_retention)?;
        Ok(registered)
    }
}

/// A copy of a record that is still tried has to be known when its effects are there at last.
fn keeps_ids_long_enough(service: &str, handler: &Registered, retention: Duration) -> Result<(), Coded> {
    let longest = handler.policies.longest();
    if !handler.inbox || retention >= longest {
        return Ok(());
    }
    let message = format!(
        "service {service} keeps ids for {} s (inbox.retention), and handler {} may try a record for {} s; copies that come \
         meanwhile would not be known",
        retention.as_secs(),
        handler.name,
        longest.as_secs()
    );
    Err(Coded::new(Code::BAD_SERVICE, message))
}

/// The place of a name in a list, at whose end it is put where it is not there.
fn place_in(names: &mut Vec<Arc<str>>, name: &Arc<str>) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(Arc::clone(name));
        names.len() - 1
    })
}

impl Taken {
    fn into_entry(self, handler: usize) -> Result<RouteEntry, Coded> {
        let Self { event, version, content_type, route, .. } = self;
        Ok(RouteEntry { event, version, content_type, handler, route: route? })
    }
}

/// Adds what a handler takes to the inputs; an event type has one handler.
fn take_inputs(inputs: &mut Vec<Input>, takes: Vec<Taken>, handler: usize, name: &str) -> Result<(), Coded> {
    for taken in takes {
        let place = inputs.iter().position(|input| input.topic == taken.topic).unwrap_or_else(|| {
            inputs.push(Input::new(Arc::clone(&taken.topic)));
            inputs.len() - 1
        });
        let routes = &mut inputs[place].routes;
        if routes.iter().any(|route| route.event == taken.event) {
            let message = format!(
                "{} in {} has two handlers, {name} is the second; a second reaction to an event is a second service",
                taken.event, taken.topic
            );
            return Err(Coded::new(Code::BAD_SERVICE, message));
        }
        routes.push(taken.into_entry(handler)?);
    }
    Ok(())
}

/// Events that a handler may schedule.
fn take_timers(
    timers: &mut Input,
    scheduled: &mut Vec<Emitted>,
    declared: Vec<Timer>,
    handler: usize,
) -> Result<(), Coded> {
    for Timer { taken, emitted } in declared {
        timers.routes.push(taken.into_entry(handler)?);
        scheduled.extend(emitted.transpose()?);
    }
    Ok(())
}

/// What a service emits, each with its topic's place, and the topics.
type Outgoing = (Vec<(Emitted, u16)>, Arc<[Arc<str>]>);

/// Gives each output topic its place.
fn collect_outputs(opened: Vec<Result<(Emitted, Arc<str>), Coded>>, raw: Vec<Arc<str>>) -> Result<Outgoing, Coded> {
    let mut topics: Vec<Arc<str>> = Vec::new();
    let mut place_of = |topic: Arc<str>| {
        let place = topics.iter().position(|known| *known == topic).unwrap_or_else(|| {
            topics.push(topic);
            topics.len() - 1
        });
        u16::try_from(place).map_err(|_| Coded::new(Code::BAD_SERVICE, "more than 65,535 output topics"))
    };
    let mut emits = Vec::new();
    for opened in opened {
        let (emitted, topic) = opened?;
        emits.push((emitted, place_of(topic)?));
    }
    for topic in raw {
        place_of(topic)?;
    }
    Ok((emits, topics.into()))
}

/// The place of a topic that is among these.
fn place_of(topics: &[Arc<str>], topic: &Arc<str>) -> u16 {
    let place = topics.iter().position(|known| known == topic).expect("it is among them");
    u16::try_from(place).expect("there are not more")
}

/// Names stand in topic names, state keys and file names, so they are kept plain.
fn check_name(what: &str, name: &str) -> Result<(), Coded> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    if !name.is_empty() && name.len() <= NAME_LIMIT && name.bytes().all(plain) {
        return Ok(());
    }
    let message = format!("{what} name {name:?} may hold only 1 to {NAME_LIMIT} of a-z, 0-9, '-', '_' and '.'");
    Err(Coded::new(Code::BAD_SERVICE, message))
}
