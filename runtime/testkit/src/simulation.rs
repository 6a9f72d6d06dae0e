//! Whole services on `memory:`, with time, chance and scheduling from a seed, and with faults: crashes at any await and at
//! any call of a port, commits that are refused or whose answer is lost, rebalances, paused owners, handlers that are slow,
//! fail or never end, clocks that jump, a full store, records that come again.
//!
//! ```no_run
//! # fn sales() -> tidemill_core::service::ServiceBuilder { tidemill_core::service::Service::builder("sales") }
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Sale;
//! # impl tidemill_core::event::Event for Sale {
//! #     const NAME: &'static str = "sale"; const TOPIC: &'static str = "sales"; const VERSION: u32 = 1;
//! #     type Codec = tidemill_core::codec::Json;
//! #     fn key(&self) -> Option<std::borrow::Cow<'_, [u8]>> { None }
//! # }
//! use tidemill_testkit::simulation::Simulation;
//!
//! // Panics at the first seed that breaks a promise, with the fewest faults that still break it, as a test to paste.
//! let report = Simulation::of(sales).feed(Sale).run(0..64);
//! println!("{report}");
//! ```

mod chaos;
mod check;
mod fault;
mod ledger;
mod operator;
mod report;
mod run;
mod shrink;
mod world;

#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::cell::OnceCell;
use std::ops::Range;
use std::time::Duration;

use tidemill_core::code::Coded;
use tidemill_core::event::Event;
use tidemill_core::ports::{Clock, Random};
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::service::{Service, ServiceBuilder};

use crate::fakes::Seeded;
use crate::reading::at_once;

pub use check::Violation;
pub use fault::{Fault, Planned, Ruling, Trick};
pub use ledger::{Attempted, Entry, Out, Part, Who};
pub use operator::{Act, Scene};
pub use report::Report;
pub use run::{Known, Run, Stored};

/// The source that fed events name.
const SOURCE: &str = "/simulation";
/// Partitions of every topic unless said otherwise.
const PARTITIONS: u32 = 3;
/// Instances of every service unless said otherwise.
const INSTANCES: u32 = 2;
/// The virtual time in which events are fed and faults happen, unless said otherwise.
const HORIZON: Duration = Duration::from_secs(30);
/// How long an owner has for giving partitions up.
const DRAIN: Duration = Duration::from_secs(4);
/// How long an operator is away between two looks, while events are fed.
const OPERATOR_AWAY: Duration = Duration::from_secs(2);
/// The most faults of one run.
const MOST_FAULTS: u64 = 24;

type Build = Box<dyn Fn() -> ServiceBuilder>;
type Feed = Box<dyn Fn(&mut Publisher, &str, &dyn Clock) -> Result<(), Coded>>;
type Declare = Box<dyn Fn(&mut Publisher)>;
type Operates = Box<dyn Fn(&Scene<'_>) -> Vec<Act>>;
type Check = Box<dyn Fn(&Run) -> Vec<Violation>>;

/// One service of a simulation.
struct Deployed {
    build: Build,
    /// The version that replaces it during the run.
    newer: Option<Build>,
    instances: u32,
}

impl Deployed {
    fn newest(&self) -> Service {
        let build = self.newer.as_ref().unwrap_or(&self.build);
        build().build().unwrap_or_else(|error| panic!("the service cannot be built: {error}"))
    }
}

/// What is simulated, without the faults.
struct Setup {
    parts: Vec<Deployed>,
    partitions: u32,
    horizon: Duration,
    drain: Duration,
    declares: Vec<(TypeId, Declare)>,
    feeds: Vec<Feed>,
    /// Which of them is fed when: a copy is the same one again.
    order: Vec<usize>,
    operator: Option<Operates>,
    /// What is done before each run.
    resets: Vec<Box<dyn Fn()>>,
    watches: Vec<(String, Box<dyn Fn() -> String>)>,
}

/// Services and what they are fed, to be run under many seeds.
///
/// A seed decides everything: when events come, who is polled first, what goes wrong and when. The same seed makes the same
/// run. Each run is checked against the promises (docs/GUIDE.md lists them) and against a run in which nothing goes wrong:
/// the same events, the same state.
pub struct Simulation {
    setup: Setup,
    checks: Vec<Check>,
    compares: bool,
    most_faults: u64,
    undisturbed: OnceCell<Run>,
}

impl Simulation {
    /// A simulation of one service. The function is called for every start of an instance.
    pub fn of(service: impl Fn() -> ServiceBuilder + 'static) -> Self {
        let setup = Setup {
            parts: Vec::new(),
            partitions: PARTITIONS,
            horizon: HORIZON,
            drain: DRAIN,
            declares: Vec::new(),
            feeds: Vec::new(),
            order: Vec::new(),
            operator: None,
            resets: Vec::new(),
            watches: Vec::new(),
        };
        let (checks, undisturbed) = (Vec::new(), OnceCell::new());
        Self { setup, checks, compares: true, most_faults: MOST_FAULTS, undisturbed }.and(service)
    }

    /// Adds a service that runs beside the others; topics connect them.
    pub fn and(mut self, service: impl Fn() -> ServiceBuilder + 'static) -> Self {
        self.setup.parts.push(Deployed { build: Box::new(service), newer: None, instances: INSTANCES });
        self
    }

    /// The service added last is replaced by this newer version while it runs, one instance after the other.
    pub fn upgraded_to(mut self, service: impl Fn() -> ServiceBuilder + 'static) -> Self {
        self.setup.parts.last_mut().expect("a simulation begins with a service").newer = Some(Box::new(service));
        self
    }

    /// How many instances of the service added last there are at the beginning; 2 unless set.
    pub fn instances(mut self, instances: u32) -> Self {
        self.setup.parts.last_mut().expect("a simulation begins with a service").instances = instances.max(1);
        self
    }

    /// How many partitions each topic has; 3 unless set.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.setup.partitions = partitions.max(1);
        self
    }

    /// The virtual time in which events are fed and faults happen; 30 s unless set.
    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.setup.horizon = horizon;
        self
    }

    /// Feeds an event, behind those fed before.
    pub fn feed<E: Event>(mut self, event: E) -> Self {
        let this = TypeId::of::<E>();
        if self.setup.declares.iter().all(|(known, _)| *known != this) {
            let declare: Declare = Box::new(|publisher| {
                at_once(publisher.declare::<E>()).unwrap_or_else(|error| panic!("{error}"));
            });
            self.setup.declares.push((this, declare));
        }
        self.setup.order.push(self.setup.feeds.len());
        self.setup.feeds.push(Box::new(move |publisher, id, clock| {
            publisher.publish(Publication { event: &event, id, time: clock.now() })
        }));
        self
    }

    /// Feeds an event once more, with its id: a copy at another position. It is the one that was fed so many before the last.
    pub fn feed_again(mut self, before: usize) -> Self {
        let last = self.setup.feeds.len().checked_sub(1).expect("something was fed");
        self.setup.order.push(last.saturating_sub(before));
        self
    }

    /// Feeds events, behind those fed before.
    pub fn feed_all<E: Event>(self, events: impl IntoIterator<Item = E>) -> Self {
        events.into_iter().fold(self, Self::feed)
    }

    /// Has an operator look at the services every few seconds, and publish what this answers. When everything else is done, the
    /// operator looks again until there is nothing to do.
    pub fn operated(mut self, acts: impl Fn(&Scene<'_>) -> Vec<Act> + 'static) -> Self {
        self.setup.operator = Some(Box::new(acts));
        self
    }

    /// Does this before each run: sets back what handlers change outside of the context.
    pub fn before_each(mut self, reset: impl Fn() + 'static) -> Self {
        self.setup.resets.push(Box::new(reset));
        self
    }

    /// Looks at something that handlers change outside of the context, when a run is over. It has to be the same as when
    /// nothing goes wrong.
    pub fn watch<T: ToString>(mut self, name: &str, value: impl Fn() -> T + 'static) -> Self {
        self.setup.watches.push((name.to_owned(), Box::new(move || value().to_string())));
        self
    }

    /// State and events of these services depend on when records of different partitions meet, or on the time: they are
    /// not compared with a run in which nothing goes wrong. The promises are checked all the same.
    pub fn in_any_order(mut self) -> Self {
        self.compares = false;
        self
    }

    /// Checks something of one's own when a run is over.
    pub fn check(mut self, check: impl Fn(&Run) -> Vec<Violation> + 'static) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// The most faults of one run; 24 unless set.
    pub fn most_faults(mut self, most: u64) -> Self {
        self.most_faults = most;
        self
    }

    /// The faults of a seed.
    pub fn faults(&self, seed: u64) -> Vec<Planned> {
        // Scheduling draws from the seed itself, and has to stay the same when faults are left out.
        let chance = Seeded::new(!seed);
        chance.next();
        fault::draw(&chance, self.setup.horizon, self.most_faults)
    }

    /// One run, with what it broke.
    pub fn trial(&self, seed: u64, faults: &[Planned]) -> (Run, Vec<Violation>) {
        let run = self.run_once(seed, faults);
        let mut violations = check::check(&run);
        violations.extend(self.checks.iter().flat_map(|check| check(&run)));
        if self.compares {
            let undisturbed = self.undisturbed.get_or_init(|| self.run_once(0, &[]));
            violations.extend(check::compare(undisturbed, &run));
        }
        (run, violations)
    }

    fn run_once(&self, seed: u64, faults: &[Planned]) -> Run {
        self.setup.resets.iter().for_each(|reset| reset());
        world::World::new(&self.setup, seed, faults).run()
    }

    /// Runs every seed. Panics at the first that breaks a promise, with the fewest faults found that still break it.
    pub fn run(&self, seeds: Range<u64>) -> Report {
        let mut report = Report::default();
        for seed in seeds {
            let faults = self.faults(seed);
            let (run, violations) = self.trial(seed, &faults);
            if let Some(first) = violations.first() {
                let fewest = shrink::shrink(self, seed, faults, first.invariant);
                panic!("{}", report::failure(self, seed, &fewest));
            }
            report.add(&run);
        }
        report
    }

    /// Runs one seed with these faults and no others, as the report of a failure says. Panics when it breaks a promise.
    pub fn replay(&self, seed: u64, faults: &[Planned]) {
        let (_, violations) = self.trial(seed, faults);
        assert!(violations.is_empty(), "{}", report::failure(self, seed, faults));
    }
}
