//! The composition root: services, their broker and this machine, put together and run.

mod broker;
mod drained;
mod fan;
mod machine;
mod registry;
mod running;
mod signals;
mod watchdog;
mod worker;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::ports::{Blocking, Broker, Clock, Observer, OwnTopic, Random, Schemas};
use tidemill_core::publisher::Publisher;
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::worker::Left;
use tokio::sync::{mpsc, watch};

use crate::config::Configuration;
use crate::telemetry;
use fan::Fan;
use machine::{Threads, WallClock};
use signals::Signals;
use watchdog::{Act, Watchdog, Watched};
use worker::Post;

pub use running::Running;

/// How long a host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until it is told to stop.
    Stopped,
    /// Until nothing is left to do.
    Drained,
}

/// Several services in one process, on one broker.
pub struct Host {
    configuration: Configuration,
    broker: Arc<dyn Broker>,
    schemas: Option<Arc<dyn Schemas>>,
    clock: Arc<dyn Clock>,
    blocking: Arc<dyn Blocking>,
    services: Vec<Arc<Service>>,
    observers: Vec<Arc<dyn Observer>>,
    on_block: Act,
}

impl Host {
    /// Opens the broker that the configuration names, and prepares for its schema registry. An address of an unknown scheme is
    /// an error (TM-0103).
    pub fn open(configuration: Configuration) -> Result<Self, Coded> {
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let blocking: Arc<dyn Blocking> = Arc::new(Threads::new());
        let schemas = registry::open(&configuration, &clock, &blocking)?;
        let broker = broker::open(&configuration, Arc::clone(&clock), Arc::clone(&blocking))?;
        Ok(Self {
            configuration,
            broker,
            schemas,
            clock,
            blocking,
            services: Vec::new(),
            observers: Vec::new(),
            on_block: Arc::new(watchdog::end_process),
        })
    }

    /// Opens the broker for commands that need one which is there: no directory is made for them (TM-0401).
    pub(crate) fn open_existing(configuration: Configuration, service: &str) -> Result<Self, Coded> {
        let address = configuration.broker();
        if !broker::exists(address) {
            return Err(missing(&format!("there is no log at {address} yet"), service, address));
        }
        Self::open(configuration)
    }

    /// Whether a plan for new topics can be made without the broker, because there is nothing at its address yet.
    pub(crate) fn is_new(configuration: &Configuration) -> bool {
        !broker::exists(configuration.broker())
    }

    /// Adds a service, with its limits as configured. Two services of one name are an error (TM-0404).
    pub fn add(&mut self, service: ServiceBuilder) -> Result<(), Coded> {
        let limits = self.configuration.limits(service.name(), service.declared_limits());
        let start = self.configuration.start(service.name());
        let name = Arc::clone(service.name());
        let configuration = &self.configuration;
        let service = service.limits(limits).change_failures(|handler, policies| {
            configuration.change_failures(&name, handler, policies);
        });
        let service = configuration.letter_headers().into_iter().fold(service, ServiceBuilder::letter_headers);
        let service = start.into_iter().fold(service, ServiceBuilder::start).build()?;
        if self.services.iter().any(|known| known.name() == service.name()) {
            let message = format!("service {} is added twice to one host", service.name());
            return Err(Coded::new(Code::BAD_SERVICE, message));
        }
        self.services.push(Arc::new(service));
        Ok(())
    }

    /// Shows what all services do to this observer, beside the log.
    pub fn observe(&mut self, observer: Arc<dyn Observer>) {
        self.observers.push(observer);
    }

    /// A publisher to the broker that signs its events with `source`, a URI reference such as `/shop/ingest`. Where a schema
    /// registry is configured, what it writes names its schema there.
    pub fn publisher(&self, source: impl Into<String>) -> Publisher {
        let publisher = Publisher::new(Arc::clone(&self.broker), source);
        self.schemas.iter().cloned().fold(publisher, Publisher::with_schemas)
    }

    /// The broker, for a [`Query`](crate::query::Query).
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.broker
    }

    /// The schema registry, where one is configured.
    pub(crate) fn schemas(&self) -> Option<&dyn Schemas> {
        self.schemas.as_deref()
    }

    /// An id that nothing else has.
    pub(crate) fn new_id() -> String {
        let chance = machine::SplitMix::seeded();
        format!("{:016x}{:016x}", chance.next(), chance.next())
    }

    /// Time.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The services, in the order in which they were added.
    pub fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    /// The configuration it was opened with.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The topics that the services read and write, and those that the broker needs for them, each once, by name.
    pub fn topics(&self) -> BTreeSet<Arc<str>> {
        self.services.iter().flat_map(|service| self.topics_of(service)).collect()
    }

    fn topics_of(&self, service: &Service) -> Vec<Arc<str>> {
        let declared = service.input_topics().chain(service.output_topics()).cloned();
        declared.chain(self.broker.own_topics(service.name()).into_iter().map(|own| own.name)).collect()
    }

    /// The service of which this topic is an own one, if there is one.
    fn own_topic(&self, topic: &str) -> Option<(&Service, OwnTopic)> {
        self.services.iter().find_map(|service| {
            let of_service =
                service.own_topics().map(|(name, partitions)| OwnTopic { name: Arc::clone(name), partitions });
            let mut all = self.broker.own_topics(service.name()).into_iter().chain(of_service);
            Some((&**service, all.find(|own| *own.name == *topic)?))
        })
    }

    /// How many partitions a topic gets that is created: as many as its service's inputs have where it goes with them, else
    /// as configured.
    pub(crate) async fn partitions_for(&self, topic: &str) -> Result<u32, Coded> {
        let Some((service, own)) = self.own_topic(topic) else { return Ok(self.configuration.partitions()) };
        if let Some(partitions) = own.partitions {
            return Ok(partitions);
        }
        for input in service.input_topics() {
            if let Some(info) = self.broker.topics().describe(input).await? {
                return Ok(info.partitions);
            }
        }
        Ok(self.configuration.partitions())
    }

    /// Creates those of these topics that do not exist, with the configured number of partitions, and tells which they were.
    /// One that exists stays as it is.
    pub async fn create_topics(&self, topics: impl IntoIterator<Item = Arc<str>>) -> Result<Vec<Arc<str>>, Coded> {
        let known = self.broker.topics();
        let mut created = Vec::new();
        // What the broker needs itself goes by the inputs, so those come first.
        let (own, others): (Vec<_>, Vec<_>) = topics.into_iter().partition(|topic| self.own_topic(topic).is_some());
        for topic in others.into_iter().chain(own) {
            if known.describe(&topic).await?.is_none() {
                let partitions = self.partitions_for(&topic).await?;
                match self.own_topic(&topic) {
                    Some((service, _)) => {
                        let inputs: Vec<_> = service.input_topics().cloned().collect();
                        self.broker.create_own(&topic, &inputs, partitions).await?;
                    }
                    None => known.create(&topic, partitions).await?,
                }
                tracing::debug!(topic = %topic, partitions, "topic created");
                created.push(topic);
            }
        }
        Ok(created)
    }

    /// Starts the services, each on its workers' own threads. A topic that is missing is an error (TM-0401) that names the
    /// command which creates it, except on `memory:`, where there is no earlier moment to create it than this one. With a
    /// schema registry, every schema that is written has to be there (TM-0703), or is registered, as configured.
    pub async fn start(&self) -> Result<Running, Coded> {
        let services: Vec<&str> = self.services.iter().map(|service| &**service.name()).collect();
        tracing::info!(services = services.join(", "), broker = self.configuration.broker(), "starting");
        self.prepare().await?;
        if let Some(schemas) = &self.schemas {
            for service in &self.services {
                service.find_schema_ids(&**schemas).await?;
            }
        }
        for name in self.configuration.services() {
            if self.services.iter().all(|service| **service.name() != *name) {
                tracing::info!(service = name, "this service has configuration and is not in this process");
            }
        }
        let (stop, stopped) = watch::channel(false);
        let posts = self.posts(&stopped)?;
        let watched = posts.iter().map(|post| Watched {
            service: Arc::clone(&post.service),
            thread: post.thread.clone(),
            heartbeat: Arc::clone(&post.heartbeat),
        });
        let act = Arc::clone(&self.on_block);
        let watchdog = Watchdog::start(watched.collect(), self.configuration.watchdog(), act);
        let heartbeats =
            posts.iter().map(|post| (Arc::clone(post.service.name()), Arc::clone(&post.heartbeat))).collect();
        let (ending, ended) = mpsc::channel(posts.len().max(1));
        let threads = posts.into_iter().map(|post| worker::start(post, ending.clone())).collect();
        Ok(Running {
            broker: Arc::clone(&self.broker),
            clock: Arc::clone(&self.clock),
            services: self.services.clone(),
            stop,
            ended,
            threads,
            failures: Vec::new(),
            left: Left::default(),
            heartbeats,
            _watchdog: watchdog,
        })
    }

    /// One post for each worker of each service.
    fn posts(&self, stop: &watch::Receiver<bool>) -> Result<Vec<Post>, Coded> {
        let mut posts = Vec::new();
        for service in &self.services {
            let instance = broker::instance(&self.configuration, service.name())?;
            let log: Arc<dyn Observer> = Arc::new(telemetry::Log::new(Arc::clone(service.name())));
            let observers = std::iter::once(log).chain(self.observers.iter().cloned()).collect();
            let observer: Arc<dyn Observer> = Arc::new(Fan(observers));
            for worker in 0..self.configuration.workers(service.name()) {
                posts.push(Post {
                    service: Arc::clone(service),
                    thread: format!("{}-{worker}", service.name()),
                    member: format!("{instance}.{worker}").into(),
                    broker: Arc::clone(&self.broker),
                    clock: Arc::clone(&self.clock),
                    blocking: Arc::clone(&self.blocking),
                    schemas: self.schemas.clone(),
                    observer: Arc::clone(&observer),
                    heartbeat: Arc::default(),
                    stop: stop.clone(),
                });
            }
        }
        Ok(posts)
    }

    /// Sees to it that every topic of every service exists: one that is missing is created in memory, and elsewhere an error
    /// (TM-0401) with its remedy.
    pub(crate) async fn prepare(&self) -> Result<(), Coded> {
        if broker::is_memory(self.configuration.broker()) {
            return self.create_topics(self.topics()).await.map(drop);
        }
        let topics = self.broker.topics();
        for service in &self.services {
            for topic in self.topics_of(service) {
                if topics.describe(&topic).await?.is_none() {
                    let what = format!("topic {topic}, which service {} needs, does not exist", service.name());
                    return Err(missing(&what, service.name(), self.configuration.broker()));
                }
            }
            let inputs: Vec<_> = service.input_topics().cloned().collect();
            let outputs: Vec<_> = service.output_topics().cloned().collect();
            self.broker.check(service.name(), &inputs, &outputs).await?;
        }
        Ok(())
    }

    /// Starts the services and runs them until they are told to stop by SIGTERM or ctrl-c, or until nothing is left to do;
    /// then drains, commits, leaves, and logs what was left. A second signal ends the process at once.
    ///
    /// A service that fails does not take the others with it: they go on until all there is for them is done, and then its
    /// error is the answer. Asked to drain everything and told to stop before, the answer is [`Exit::Partly`].
    pub async fn run(&self, until: Until) -> Result<Exit, Coded> {
        self.run_with(async { Ok(()) }, until).await
    }

    /// The same for a program that publishes what its services are to work on: `feed` does so while they run, and nothing is
    /// taken for drained before it ends. Told to stop, `feed` is dropped where it waits; its error is the answer.
    pub async fn run_with(&self, feed: impl Future<Output = Result<(), Coded>>, until: Until) -> Result<Exit, Coded> {
        let mut signals = Signals::listen()?;
        let mut running = self.start().await?;
        let mut answer = Ok(Exit::Done);
        let end = async {
            feed.await?;
            if until == Until::Stopped {
                running.failed().await;
            }
            running.drained().await
        };
        match select(pin!(end), pin!(signals.next())).await {
            Either::Left((Ok(()), _)) => tracing::info!("everything is done"),
            Either::Left((Err(error), _)) => answer = Err(error),
            Either::Right((told, _)) => {
                tracing::info!(signal = told.name(), "draining; a second signal ends the process at once");
                if until == Until::Drained {
                    answer = Ok(Exit::Partly);
                }
            }
        }
        match select(pin!(running.stop()), pin!(signals.next())).await {
            Either::Left((Ok(left), _)) => self.log_rest(left).await,
            Either::Left((Err(worst), _)) => answer = Err(worst),
            Either::Right((told, _)) => told.end_process(),
        }
        answer
    }

    async fn log_rest(&self, left: Left) {
        let Left { interrupted, uncommitted } = left;
        tracing::info!(interrupted, uncommitted, "stopped");
        for service in &self.services {
            match drained::lag(&*self.broker, service).await {
                Ok(behind) => tracing::info!(service = %service.name(), behind, "records left to do"),
                Err(cause) => tracing::warn!(service = %service.name(), %cause, "nobody tells what is left to do"),
            }
        }
    }
}

/// What is missing, and the command that creates it.
pub(crate) fn missing(what: &str, service: &str, address: &str) -> Coded {
    let remedy = format!("{service} topics create --broker {address}");
    Coded::new(Code::TOPIC_MISSING, format!("{what}; create it with: {remedy}"))
}

#[cfg(test)]
pub(crate) mod tests;
