//! One run: instances on `memory:`, started, fed, disturbed and started again, one poll at a time.

mod instances;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::code::Coded;
use tidemill_core::headers;
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::ports::Broker;
use tidemill_core::publisher::Publisher;
use tidemill_core::service::Service;
use tidemill_core::state::runtime_range;
use tidemill_core::timers;
use tidemill_core::worker::Left;
use tidemill_embedded::{Embedded, Settings};

use super::chaos::Chaos;
use super::check::waiting;
use super::fault::{Fault, Planned, below};
use super::ledger::Entry;
use super::operator::{Act, Scene};
use super::run::Run;
use super::{OPERATOR_AWAY, SOURCE, Setup};
use crate::fakes::{Executor, Seeded, VirtualClock};
use crate::reading::at_once;
use instances::{Instance, State};

/// How long the services have to be done with everything after the last fault: handlers that hang meet their time-outs, drains
/// end, refused commits are tried again.
const PATIENCE: Duration = Duration::from_mins(4);
/// How often an operator may find something to do when everything else is done.
const MOST_LAST_LOOKS: u32 = 64;
/// Polls without a moment's sleep between them after which the tasks are said to spin.
const MOST_POLLS_AT_ONCE: u32 = 100_000;

type Ended = Result<Left, Coded>;

/// Something that happens at a time.
#[derive(Debug)]
enum Action {
    /// Publishes the inputs up to this one.
    Feed(usize),
    Fault(Fault),
    Start(usize),
    Resume(usize),
    /// An operator looks at the services.
    Operate,
    /// One instance of the newer version joins those of a service.
    Upgrade(usize),
    /// The older instances of a service leave.
    Retire(usize),
}

pub(super) struct World<'s> {
    setup: &'s Setup,
    services: Vec<Service>,
    chance: Seeded,
    clock: Arc<VirtualClock>,
    broker: Arc<Embedded>,
    chaos: Arc<Chaos>,
    executor: Executor<'static, Ended>,
    instances: Vec<Instance>,
    /// What is to happen, by time; the number tells what happens at one time apart.
    actions: BTreeMap<(Duration, u64), Action>,
    planned: u64,
    /// What happens to the process that is polled after so many polls.
    at_polls: Vec<(u32, Fault)>,
    publisher: Publisher,
    published: usize,
    /// How often the operator has looked.
    looks: u64,
    /// How long the services have to be done with everything after the last fault.
    patience: Duration,
}

/// How far the wall clock is set back in all: what is parked until a time waits so much longer.
fn set_back(faults: &[Planned]) -> Duration {
    let back = faults.iter().map(|planned| match planned.fault {
        Fault::Clock(millis) if millis < 0 => Duration::from_millis(millis.unsigned_abs()),
        _ => Duration::ZERO,
    });
    back.sum()
}

impl<'s> World<'s> {
    pub(super) fn new(setup: &'s Setup, seed: u64, faults: &[Planned]) -> Self {
        let clock = VirtualClock::new();
        let broker = Embedded::memory(&Settings { drain: setup.drain, ..Settings::default() }, clock.clone());
        let services = setup.parts.iter().map(super::Deployed::newest).collect();
        let publisher = Publisher::new(broker.clone(), SOURCE);
        let mut world = Self {
            setup,
            publisher,
            services,
            chance: Seeded::new(seed),
            chaos: Chaos::new(&clock),
            executor: Executor::new(Arc::clone(&clock)),
            clock,
            broker,
            instances: Vec::new(),
            actions: BTreeMap::new(),
            planned: 0,
            at_polls: Vec::new(),
            published: 0,
            looks: 0,
            patience: PATIENCE + set_back(faults),
        };
        world.make_topics();
        setup.declares.iter().for_each(|(_, declare)| declare(&mut world.publisher));
        for (service, part) in setup.parts.iter().enumerate() {
            for _ in 0..part.instances {
                world.add_instance(service, false);
            }
        }
        world.plan_feeds();
        world.plan_upgrades();
        world.plan_operator();
        for planned in faults {
            world.at(Duration::from_millis(planned.at), Action::Fault(planned.fault));
        }
        world
    }

    fn make_topics(&self) {
        let services = self.services.iter();
        let topics: BTreeSet<&Arc<str>> =
            services.flat_map(|service| service.input_topics().chain(service.output_topics())).collect();
        for topic in topics {
            let created = at_once(self.broker.topics().create(topic, self.setup.partitions));
            created.expect("a topic with a name and partitions");
        }
    }

    fn at(&mut self, time: Duration, action: Action) {
        self.planned += 1;
        self.actions.insert((time, self.planned), action);
    }

    /// Inputs come in handfuls of any size, at any times before the horizon.
    fn plan_feeds(&mut self) {
        let horizon = u64::try_from(self.setup.horizon.as_millis()).expect("a horizon within the age of the world");
        let mut fed = 0;
        let mut times = Vec::new();
        while fed < self.setup.order.len() {
            let left = (self.setup.order.len() - fed) as u64;
            fed += usize::try_from(1 + below(&self.chance, left.min(12))).expect("twelve at most");
            times.push(below(&self.chance, horizon.max(1)));
        }
        times.sort_unstable();
        let mut upto = 0;
        let count = times.len();
        for (place, time) in times.into_iter().enumerate() {
            upto =
                if place + 1 == count { self.setup.order.len() } else { self.setup.order.len() * (place + 1) / count };
            self.at(Duration::from_millis(time), Action::Feed(upto));
        }
        debug_assert!(upto == self.setup.order.len(), "everything is fed");
    }

    /// Where there is a newer version, it comes while the older one runs, and stays alone in the end.
    fn plan_upgrades(&mut self) {
        let horizon = u64::try_from(self.setup.horizon.as_millis()).expect("a horizon within the age of the world");
        for service in 0..self.setup.parts.len() {
            if self.setup.parts[service].newer.is_some() {
                let joins = below(&self.chance, horizon.max(1));
                let goes = joins + below(&self.chance, horizon.max(1));
                self.at(Duration::from_millis(joins), Action::Upgrade(service));
                self.at(Duration::from_millis(goes), Action::Retire(service));
            }
        }
    }

    fn plan_operator(&mut self) {
        if self.setup.operator.is_some() {
            let looks = self.setup.horizon.as_millis() / OPERATOR_AWAY.as_millis();
            for look in 1..=u32::try_from(looks).expect("a horizon within the age of the world") {
                self.at(OPERATOR_AWAY * look, Action::Operate);
            }
        }
    }

    /// Runs to the end: everything is fed, nothing goes wrong any more, and the services had time to be done.
    pub(super) fn run(mut self) -> Run {
        let settled = self.until_settled();
        let stopped = settled && self.stop_all();
        let ended = (self.clock.passed(), settled && stopped);
        Run::gather(self.setup, &self.services, &self.chaos, &self.broker, ended)
    }

    fn until_settled(&mut self) -> bool {
        let calm_from = self.actions.last_key_value().map_or(Duration::ZERO, |((time, _), _)| *time);
        let (mut is_calm, mut last_looks) = (false, 0);
        loop {
            if !self.let_run() {
                return false;
            }
            if !is_calm && self.clock.passed() >= calm_from {
                is_calm = true;
                self.chaos.calm();
                self.at_polls.clear();
            }
            if self.actions.is_empty() && self.is_done() {
                if !self.operate(true) {
                    return true;
                }
                last_looks += 1;
                if last_looks > MOST_LAST_LOOKS {
                    return false;
                }
                continue;
            }
            let alarm = self.clock.next_alarm();
            let action = self.actions.first_key_value().map(|((time, _), _)| time.saturating_sub(self.clock.passed()));
            let Some(wait) = alarm.into_iter().chain(action).min() else { return false };
            if self.clock.passed() + wait > calm_from + self.patience {
                return false;
            }
            self.clock.advance(wait);
            self.act();
        }
    }

    /// Polls whoever was woken, in any order, until nobody is. `false` when that does not end.
    fn let_run(&mut self) -> bool {
        for _ in 0..MOST_POLLS_AT_ONCE {
            let may_run: Vec<(usize, usize)> = self.woken();
            if may_run.is_empty() {
                return true;
            }
            let picked = usize::try_from(below(&self.chance, may_run.len() as u64)).expect("below a length");
            let (instance, task) = may_run[picked];
            self.executor.poll(task);
            self.after_poll(instance, task);
        }
        self.chaos.ledger.push(Entry::Spins);
        false
    }

    /// Crashes the instance if it is due, and takes note of one that ended.
    fn after_poll(&mut self, number: usize, task: usize) {
        let State::Running { life, .. } = &self.instances[number].state else { return };
        let life = Arc::clone(life);
        if let Some(result) = self.executor.result(task).cloned() {
            self.chaos.ledger.push(Entry::Left { who: life.who.clone(), result });
            return self.went(number);
        }
        if !life.has_crashed() {
            let due = self.at_polls.iter().position(|(polls, _)| *polls == 0);
            self.at_polls.iter_mut().for_each(|(polls, _)| *polls = polls.saturating_sub(1));
            let Some((_, fault)) = due.map(|due| self.at_polls.remove(due)) else { return };
            self.chaos.ledger.push(Entry::Spent { fault, to: life.who.to_string() });
            if let Fault::Pause { millis, .. } = fault {
                self.instances[number].paused = true;
                return self.at(self.clock.passed() + Duration::from_millis(millis), Action::Resume(number));
            }
        }
        self.executor.crash(task);
        self.chaos.ledger.push(Entry::Crashed { who: life.who.clone() });
        self.went(number);
    }

    /// Does what is due.
    fn act(&mut self) {
        let now = self.clock.passed();
        while let Some(due) = self.actions.first_entry().filter(|due| due.key().0 <= now) {
            match due.remove() {
                Action::Feed(upto) => self.feed(upto),
                Action::Start(instance) if self.instances[instance].leaves => {}
                Action::Start(instance) => self.start(instance),
                Action::Resume(instance) => self.instances[instance].paused = false,
                Action::Fault(fault) => self.disturb(fault),
                Action::Operate => drop(self.operate(false)),
                Action::Upgrade(service) => self.add_instance(service, true),
                Action::Retire(service) => self.retire(service),
            }
        }
    }

    fn feed(&mut self, upto: usize) {
        for number in &self.setup.order[self.published..upto] {
            let fed = self.setup.feeds[*number](&mut self.publisher, &number.to_string(), &*self.clock);
            fed.expect("an event that can be written");
        }
        at_once(self.publisher.flush()).expect("`memory:` takes everything");
        self.published = upto;
    }

    /// Lets the operator look, and publishes what is wanted. Tells whether anything is.
    fn operate(&mut self, is_last: bool) -> bool {
        let Some(operator) = &self.setup.operator else { return false };
        let (broker, partitions, looks) = (&*self.broker, self.setup.partitions, self.looks);
        let scene = Scene { broker, clock: &self.clock, chance: &self.chance, partitions, looks, is_last };
        let acts = operator(&scene);
        self.looks += 1;
        let topics: Vec<Arc<str>> = acts.iter().map(|act| Arc::clone(&act.target.topic)).collect();
        let mut outputs = Outputs::new(topics.into());
        for (topic, Act { target, record }) in (0..).zip(&acts) {
            let address = Address { topic, partition: target.partition, timestamp: record.timestamp };
            outputs.push_raw(address, record.key.as_deref(), &record.headers, record.value.as_deref());
            let id = record.headers.text(headers::ID).map(str::to_owned);
            self.chaos.ledger.push(Entry::Operated { target: target.clone(), id });
        }
        at_once(self.broker.publish(outputs)).expect("`memory:` takes everything");
        !acts.is_empty()
    }

    fn disturb(&mut self, fault: Fault) {
        let spent = |world: &Self, to: String| world.chaos.ledger.push(Entry::Spent { fault, to });
        match fault {
            Fault::CrashAtPoll(polls) | Fault::Pause { polls, .. } => self.at_polls.push((polls, fault)),
            Fault::Join(service) => {
                let service = service as usize % self.setup.parts.len();
                spent(self, self.services[service].name().to_string());
                self.add_instance(service, self.setup.parts[service].newer.is_some());
            }
            Fault::Leave(instance) => {
                let Some(number) = self.pick(instance) else { return };
                let service = self.instances[number].service;
                let stays = |other: &Instance| other.service == service && !other.leaves;
                // Somebody of each service stays.
                if self.instances.iter().filter(|other| stays(other)).count() > 1 {
                    spent(self, self.instances[number].name.to_string());
                    self.instances[number].leaves = true;
                    self.ask_to_stop(number);
                }
            }
            Fault::Clock(millis) => {
                let by = Duration::from_millis(millis.unsigned_abs());
                if millis < 0 {
                    self.clock.set_back(by);
                } else {
                    self.clock.set_forward(by);
                }
                spent(self, "everybody".to_owned());
            }
            other => self.chaos.arm(other),
        }
    }

    /// Whether anything is parked that will be handled without an operator, or a timer waits.
    fn has_waiting(&self, service: &Service) -> bool {
        (0..self.setup.partitions).any(|shard| {
            let read = |range, most| {
                let read = at_once(self.broker.state(service.name(), shard, &range, most));
                read.expect("`memory:` can be read")
            };
            let entries = read(runtime_range(), usize::MAX);
            !waiting(entries.iter().map(|(key, value)| (key, value))).is_empty() || !read(timers::range(), 1).is_empty()
        })
    }

    /// Whether every service has done and committed everything, and nobody is away.
    fn is_done(&self) -> bool {
        let everybody_runs = self.instances.iter().all(|instance| match instance.state {
            State::Running { .. } => !instance.paused,
            State::Away => instance.leaves,
        });
        everybody_runs
            && self.services.iter().all(|service| {
                let topics: Vec<Arc<str>> = service.input_topics().cloned().collect();
                let lag = at_once(self.broker.lag(service.name(), &topics));
                lag.expect("the topics are there").iter().all(|lag| lag.records == 0) && !self.has_waiting(service)
            })
    }
}
