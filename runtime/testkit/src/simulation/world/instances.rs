//! The processes of a run: their lives, who watches over them, and how they are asked to stop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::limits::Limits;
use tidemill_core::ports::{NoObserver, Random};

use super::{Action, PATIENCE, World};
use crate::fakes::{Switch, ports, work};
use crate::simulation::chaos::{Disturbance, Life, Troubled};
use crate::simulation::ledger::Who;

/// How long an instance that crashed or gave up stays away.
const RESTART: Duration = Duration::from_secs(1);

pub(super) enum State {
    Running { life: Arc<Life>, task: usize, switch: Switch },
    Away,
}

/// One process of a service, through all its lives.
pub(super) struct Instance {
    pub(super) service: usize,
    /// Whether it runs the newer version of its service.
    pub(super) newer: bool,
    pub(super) name: Arc<str>,
    pub(super) lives: u32,
    pub(super) state: State,
    pub(super) paused: bool,
    /// It was asked to stop and does not come back.
    pub(super) leaves: bool,
}

impl World<'_> {
    pub(super) fn add_instance(&mut self, service: usize, newer: bool) {
        let name = format!("{}", self.instances.len()).into();
        let state = State::Away;
        self.instances.push(Instance { service, newer, name, lives: 0, state, paused: false, leaves: false });
        self.start(self.instances.len() - 1);
    }

    /// Begins the next life of an instance.
    pub(super) fn start(&mut self, number: usize) {
        let instance = &mut self.instances[number];
        let part = &self.setup.parts[instance.service];
        let build = part.newer.as_ref().filter(|_| instance.newer).unwrap_or(&part.build);
        let group = Arc::clone(self.services[instance.service].name());
        let who = Who { group, member: Arc::clone(&instance.name), life: instance.lives };
        instance.lives += 1;
        let life = Life::new(who, Arc::clone(&self.chaos));
        let service = build().layer(Disturbance { life: Arc::clone(&life) }).build();
        let service = service.expect("it was built before");
        // Crashes of a simulation are nobody's fault, and would be taken for some record's.
        let limits = Limits { crash_guard: false, ..service.limits().clone() };
        let service = Arc::new(service.with_limits(limits));
        let broker = Arc::new(Troubled { broker: self.broker.clone(), life: Arc::clone(&life) });
        let ports = ports(&self.clock, self.chance.next(), Arc::new(NoObserver));
        let switch = Switch::default();
        let stop = switch.clone().stopped();
        let task = self.executor.spawn(work(service, Arc::clone(&instance.name), broker, ports, stop));
        instance.state = State::Running { life, task, switch };
    }

    /// An instance is gone; whoever watches over it starts it again.
    pub(super) fn went(&mut self, number: usize) {
        let instance = &mut self.instances[number];
        instance.state = State::Away;
        instance.paused = false;
        if !instance.leaves {
            self.at(self.clock.passed() + RESTART, Action::Start(number));
        }
    }

    pub(super) fn retire(&mut self, service: usize) {
        for number in 0..self.instances.len() {
            if self.instances[number].service == service && !self.instances[number].newer {
                self.instances[number].leaves = true;
                self.ask_to_stop(number);
            }
        }
        // Whatever left before, somebody of the newer version is there.
        self.add_instance(service, true);
    }

    /// One of the instances that run and were not asked to stop.
    pub(super) fn pick(&self, wanted: u32) -> Option<usize> {
        let running = |instance: &Instance| matches!(instance.state, State::Running { .. }) && !instance.leaves;
        let all: Vec<usize> = (0..self.instances.len()).filter(|number| running(&self.instances[*number])).collect();
        all.get((wanted as usize).checked_rem(all.len())?).copied()
    }

    pub(super) fn ask_to_stop(&self, number: usize) {
        if let State::Running { switch, .. } = &self.instances[number].state {
            switch.stop();
        }
    }

    /// Stops every instance in good order. `false` when one does not end.
    pub(super) fn stop_all(&mut self) -> bool {
        for number in 0..self.instances.len() {
            self.instances[number].leaves = true;
            self.ask_to_stop(number);
        }
        let until = self.clock.passed() + PATIENCE;
        while self.let_run() {
            if self.instances.iter().all(|instance| matches!(instance.state, State::Away)) {
                return true;
            }
            match self.clock.next_alarm() {
                Some(alarm) if self.clock.passed() + alarm <= until => self.clock.advance(alarm),
                _ => return false,
            }
        }
        false
    }

    /// The instances that can be polled, each with its task.
    pub(super) fn woken(&self) -> Vec<(usize, usize)> {
        let woken: BTreeSet<usize> = self.executor.woken().collect();
        let instances = self.instances.iter().enumerate().filter(|(_, instance)| !instance.paused);
        let running = instances.filter_map(|(number, instance)| match &instance.state {
            State::Running { task, .. } => Some((number, *task)),
            State::Away => None,
        });
        running.filter(|(_, task)| woken.contains(task)).collect()
    }
}
