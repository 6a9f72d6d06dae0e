//! The process ends at every port call and at every poll of a workload; what is durable is whole at that moment, and the
//! run that begins again from it ends as the undisturbed one did.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_core::journal::is_own;
use tidemill_core::ports::{Entry, Random};

use super::stage::{GROUP, Stage, limits, partition};
use super::work::{Outcome, Task};
use crate::fakes::{Plan, Ruling, Seeded, Shape};

/// What a run left behind.
#[derive(Debug, PartialEq)]
struct Ending {
    states: Vec<Vec<Entry>>,
    results: BTreeMap<String, Vec<(String, Outcome)>>,
}

/// A workload: what is fed, by key and task.
struct Workload {
    tasks: Vec<(&'static str, Task)>,
    in_order: bool,
    /// How commits go, in turn.
    plans: Vec<Plan>,
}

const PARTITIONS: u32 = 2;
/// Crashes of one run, each at a place of its own.
const CRASHES: usize = 3;

impl Workload {
    fn stage(&self, shape: Shape) -> Stage {
        let limits = tidemill_core::limits::Limits { lane_queue: 2, in_flight: 4, undone: 6, ..limits() };
        let stage =
            Stage::with(shape, PARTITIONS, limits, |handler| if self.in_order { handler.in_order() } else { handler });
        for (place, (key, task)) in self.tasks.iter().enumerate() {
            let number = u32::from(key.as_bytes()[0]) % PARTITIONS;
            stage.feed(&partition(number), key, Task { n: place as u64, ..*task });
            if place % 5 == 4 {
                stage.broker.skip(&partition(number), 2);
            }
        }
        stage
    }

    fn ending(stage: &Stage) -> Ending {
        let mut states: Vec<Vec<Entry>> = (0..PARTITIONS).map(|shard| stage.broker.states(GROUP, shard)).collect();
        // How many commits there were depends on the crashes.
        for entries in &mut states {
            entries.retain(|(key, _)| !is_own(key));
        }
        Ending { states, results: stage.results() }
    }

    fn undisturbed(&self, shape: Shape) -> (Ending, u64, u64) {
        let stage = self.stage(shape);
        stage.broker.usually(self.plans[0]);
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
        assert_eq!(stage.broker.open_transactions(), 0);
        (Self::ending(&stage), stage.broker.calls(), executor.polls())
    }

    /// Runs with the process ending as `disturb` says, and begins again until everything is done.
    fn disturbed(&self, shape: Shape, crashes: &[Crash]) -> Ending {
        let stage = self.stage(shape);
        let first = match crashes[0] {
            Crash::AtCall(place) | Crash::AtPoll(place) => usize::try_from(place).expect("a small number"),
        };
        for (life, crash) in crashes.iter().enumerate() {
            stage.broker.usually(self.plans[(first + life) % self.plans.len()]);
            let (mut executor, worker) = stage.run();
            let mut most_polls = u64::MAX;
            match crash {
                Crash::AtCall(calls) => stage.broker.crash_after(*calls),
                Crash::AtPoll(polls) => most_polls = *polls,
            }
            executor
                .run_until(|executor| {
                    !executor.is_running(worker) || executor.polls() >= most_polls || stage.behind() == 0
                })
                .expect("nothing stalls");
            // A commit that is refused for ever ends the worker before the crash does.
            assert!(executor.result(worker).is_none_or(Result::is_err), "{:?}", executor.result(worker));
            executor.crash(worker);
            stage.broker.revive();
            stage.audit();
            assert_eq!(stage.broker.open_transactions(), 0);
        }
        stage.broker.usually(Plan::now(Ruling::Commit));
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
        stage.replay();
        Self::ending(&stage)
    }

    fn sweep(&self) {
        for shape in [Shape::Batch, Shape::Unit] {
            let (expected, calls, polls) = self.undisturbed(shape);
            let chance = Seeded::new(calls);
            for place in 0..=calls {
                let mut crashes = vec![Crash::AtCall(place)];
                crashes.resize_with(CRASHES, || Crash::AtCall(chance.next() % calls));
                assert_eq!(self.disturbed(shape, &crashes), expected, "{shape:?}, crashes at {crashes:?}");
            }
            for place in 0..=polls {
                let mut crashes = vec![Crash::AtPoll(place)];
                crashes.resize_with(CRASHES, || Crash::AtPoll(chance.next() % polls));
                assert_eq!(self.disturbed(shape, &crashes), expected, "{shape:?}, crashes at {crashes:?}");
            }
        }
    }
}

/// Where the process ends.
#[derive(Debug, Clone, Copy)]
enum Crash {
    AtCall(u64),
    AtPoll(u64),
}

fn tasks(count: usize, keys: &[&'static str], task: impl Fn(usize) -> Task) -> Vec<(&'static str, Task)> {
    (0..count).map(|place| (keys[place % keys.len()], task(place))).collect()
}

/// A commit that takes effect when it begins, and one that does when it is answered.
fn slow(early: bool) -> Plan {
    Plan { ruling: Ruling::Commit, delay: Duration::from_millis(3), early }
}

#[test]
fn counters_survive() {
    let tasks = tasks(14, &["a", "b", "c"], |_| Task::default());
    Workload { tasks, in_order: false, plans: vec![Plan::now(Ruling::Commit), slow(true), slow(false)] }.sweep();
}

#[test]
fn maps_and_results_survive() {
    let tasks = tasks(14, &["a", "b", "a", "d"], |_| Task { emits: 2, keeps: true, ..Task::default() });
    Workload { tasks, in_order: false, plans: vec![slow(false), slow(true)] }.sweep();
}

#[test]
fn waiting_handlers_survive() {
    let wait = |place: usize| [5, 1, 0, 9][place % 4];
    let tasks = tasks(16, &["a", "b", "a", "a", "c"], |place| Task { wait: wait(place), emits: 1, ..Task::default() });
    Workload { tasks, in_order: false, plans: vec![slow(true), slow(false)] }.sweep();
}

#[test]
fn timers_survive() {
    let winds = |place: usize| [4, 0, 30, 1][place % 4];
    let tasks = tasks(12, &["a", "b", "a", "d"], |place| Task { winds: winds(place), emits: 1, ..Task::default() });
    Workload { tasks, in_order: false, plans: vec![slow(true), Plan::now(Ruling::Commit), slow(false)] }.sweep();
}

#[test]
fn retries_survive() {
    let fails = |place: usize| u32::from(place % 3 == 1);
    let tasks = tasks(10, &["a", "b"], |place| Task { fails: fails(place), emits: 1, wait: 2, ..Task::default() });
    Workload { tasks, in_order: false, plans: vec![Plan::now(Ruling::Commit), slow(false)] }.sweep();
}

#[test]
fn a_partition_in_order_survives() {
    let tasks = tasks(12, &["a", "c", "b"], |place| Task { wait: place as u64 % 3, emits: 1, ..Task::default() });
    Workload { tasks, in_order: true, plans: vec![slow(true), slow(false)] }.sweep();
}

#[test]
fn everything_at_once_survives_every_answer() {
    let task = |place: usize| Task {
        wait: [0, 4, 0, 0, 11][place % 5],
        emits: u32::from(place.is_multiple_of(2)),
        keeps: !place.is_multiple_of(3),
        fails: u32::from(place % 7 == 3),
        ..Task::default()
    };
    let tasks = tasks(20, &["a", "b", "a", "c", "d"], task);
    let answers = [Ruling::Commit, Ruling::UnknownApplied, Ruling::UnknownLost, Ruling::Refuse];
    // Answers that go on for ever are for the lives that end; the last life commits.
    let plans = answers.map(|ruling| Plan { ruling, delay: Duration::from_millis(2), early: true });
    Workload { tasks, in_order: false, plans: plans.into() }.sweep();
}
