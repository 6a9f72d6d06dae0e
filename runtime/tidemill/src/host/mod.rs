//! The composition root: services, their broker and this machine, put together and run.

mod broker;
mod drained;
mod fan;
mod machine;
mod registry;
mod relay;
mod running;
mod signals;
mod state;
mod topics;
mod watchdog;
mod worker;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::ports::{Blocking, Broker, Clock, Observer, Random, Schemas};
use tidemill_core::publisher::Publisher;
use tidemill_core::service::{Service, ServiceBuilder};
use tidemill_core::worker::Left;
use tidemill_embedded::Local;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use crate::config::Configuration;
use crate::telemetry;
use fan::Fan;
pub(crate) use machine::Stopwatch;
use machine::{Threads, WallClock};
use state::State;
use watchdog::{Act, Watchdog, Watched};
use worker::Post;

pub use running::Running;
pub use signals::{Signals, Told};
pub use state::database;
pub(crate) use state::outbox;
pub(crate) use topics::missing;

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
    /// Records, and who reads which of them.
    log: Arc<dyn Broker>,
    state: State,
    /// The log, or what stands beside it.
    broker: Arc<dyn Broker>,
    schemas: Option<Arc<dyn Schemas>>,
    clock: Arc<dyn Clock>,
    blocking: Arc<dyn Blocking>,
    services: Vec<Arc<Service>>,
    /// Topics that the program itself writes to.
    writes: Vec<Arc<str>>,
    /// What the program is called, where it was said.
    program: Option<Arc<str>>,
    observers: Vec<Arc<dyn Observer>>,
    on_block: Act,
}

impl Host {
    /// Opens the broker that the configuration names, and prepares for its schema registry. An address of an unknown scheme is
    /// an error (TM-0103), and so is a place of another form for state (TM-0102).
    pub fn open(configuration: Configuration) -> Result<Self, Coded> {
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let blocking: Arc<dyn Blocking> = Arc::new(Threads::new());
        let schemas = registry::open(&configuration, &clock, &blocking)?;
        let log = broker::open(&configuration, Arc::clone(&clock), Arc::clone(&blocking))?;
        let state = State::open(&configuration, &log, &clock, &blocking)?;
        let broker = state.broker(&log);
        Ok(Self {
            configuration,
            log,
            state,
            broker,
            schemas,
            clock,
            blocking,
            services: Vec::new(),
            writes: Vec::new(),
            program: None,
            observers: Vec::new(),
            on_block: Arc::new(watchdog::end_process),
        })
    }

    /// Opens the broker for commands that need one which is there: no directory is made for them (TM-0401). `program` is what the
    /// program is called that would make it.
    pub fn open_existing(configuration: Configuration, program: &str) -> Result<Self, Coded> {
        let address = configuration.broker();
        if !broker::exists(address) {
            return Err(missing(&format!("there is no log at {address} yet"), program, address));
        }
        Ok(Self { program: Some(program.into()), ..Self::open(configuration)? })
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
        let service = configuration.journal().into_iter().fold(service, ServiceBuilder::journal);
        let service = configuration.letter_headers().into_iter().fold(service, ServiceBuilder::letter_headers);
        let service = start.into_iter().fold(service, ServiceBuilder::start).build()?;
        if self.services.iter().any(|known| known.name() == service.name()) {
            let message = format!("service {} is added twice to one host", service.name());
            return Err(Coded::new(Code::BAD_SERVICE, message));
        }
        match &self.state {
            State::Log => {}
            State::Database(_) if broker::is_memory(self.configuration.broker()) => {
                let message = "what is done of a log in memory cannot be kept in a database, which lives on when the log is gone; use \
                               --broker embedded:DIR or kafka://HOST:PORT";
                return Err(Coded::new(Code::BAD_VALUE, message));
            }
            State::Database(beside) => beside.outlast(service.longest_timeout()),
            State::Rows(_) => {
                let message = format!(
                    "service {} cannot keep its state in a directory of rows; state has to be broker or postgres://…",
                    service.name()
                );
                return Err(Coded::new(Code::BAD_VALUE, message));
            }
        }
        self.services.push(Arc::new(service));
        Ok(())
    }

    /// Says that the program itself writes to a topic, beside its services: so that it is created and looked for with theirs.
    pub fn writes(&mut self, topic: impl Into<Arc<str>>) {
        self.writes.push(topic.into());
    }

    /// The database in which services keep their state, and the program its rows, where that is one.
    pub fn database(&self) -> Option<&tidemill_postgres::Settings> {
        if let State::Database(beside) = &self.state { Some(beside.settings()) } else { None }
    }

    /// The directory in which the program keeps rows, where that is one.
    pub fn rows(&self) -> Option<&Local> {
        if let State::Rows(rows) = &self.state { Some(rows) } else { None }
    }

    /// An error (TM-0102) where nothing has to be relayed.
    pub(crate) fn needs_outbox(&self) -> Result<(), Coded> {
        if matches!(self.state, State::Log) { Err(state::no_outbox()) } else { Ok(()) }
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

    /// The schema registry, where one is configured: for a program that writes events by [`Envelopes`](crate::envelopes::Envelopes).
    pub fn schemas(&self) -> Option<&Arc<dyn Schemas>> {
        self.schemas.as_ref()
    }

    /// The same for one who writes nothing, and so registers nothing.
    pub(crate) fn known_schemas(&self) -> Result<Option<Arc<dyn Schemas>>, Coded> {
        registry::open(&self.configuration.clone().with("registry.register", "never")?, &self.clock, &self.blocking)
    }

    /// An id that nothing else has.
    pub(crate) fn new_id() -> String {
        let chance = machine::SplitMix::seeded();
        format!("{:016x}{:016x}", chance.next(), chance.next())
    }

    /// The machine's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Threads for work that blocks.
    pub(crate) fn blocking(&self) -> &Arc<dyn Blocking> {
        &self.blocking
    }

    /// The services, in the order in which they were added.
    pub fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    /// The configuration it was opened with.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
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
        let relay = if self.configuration.text("outbox.relay") == "on" { self.relay()? } else { None };
        let (ending, ended) = mpsc::channel(posts.len() + 1);
        let workers = posts.into_iter().map(|post| worker::start(post, ending.clone()));
        let relay = relay.map(|relay| relay::start(relay, stopped, ending.clone()));
        let threads = workers.chain(relay).collect();
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

/// Chance that nobody can tell beforehand.
pub(crate) fn chance() -> impl Random {
    machine::SplitMix::seeded()
}

/// A loop for timers and connections, on the caller's thread.
pub(crate) fn event_loop() -> Runtime {
    let event_loop = Builder::new_current_thread().enable_all().build();
    event_loop.expect("a process that could start can make one more event queue")
}

#[cfg(test)]
pub(crate) mod tests;
