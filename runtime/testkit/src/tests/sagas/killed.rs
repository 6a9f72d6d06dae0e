//! Whole processes whose worker is killed at every call of a port and at every poll: each ends the same.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_core::context::Context;
use tidemill_core::event::Event;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::record::TopicPartition;
use tidemill_core::saga::{Instance, Status, instance as read};

use super::{Charge, Checkout, Confirmed, Paid, Placed, Refused, Release, Reserve, Reserved, declared};
use crate::fakes::{Executor, Plan, Ruling, Shape};
use crate::tests::stage::{Ended, GROUP, Stage, encoded, limits};

/// Answers what the saga asks for.
struct Answers;

#[async_trait(?Send)]
impl Handler<Reserve> for Answers {
    async fn handle(&self, ask: &Reserve, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let (order, wrong) = (ask.order.clone(), ask.wrong.clone());
        match &*ask.wrong {
            "refused" => cx.reply(Refused { order, wrong }),
            _ => cx.reply(Reserved { order, wrong }),
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<Charge> for Answers {
    async fn handle(&self, ask: &Charge, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        cx.reply(Paid { order: ask.order.clone(), wrong: ask.wrong.clone() });
        Ok(())
    }
}

/// A process that runs by itself, and what goes wrong with it.
struct Whole {
    stage: Stage,
}

/// How a process ended: its instance without times and ids, and how many events of each type were emitted.
#[derive(Debug, PartialEq)]
struct Ending {
    status: Status,
    reason: Option<String>,
    undone: Vec<String>,
    steps: Vec<(String, String, String, Vec<String>)>,
    emitted: Vec<usize>,
}

impl Whole {
    fn new(shape: Shape, wrong: &str) -> Self {
        let stage = Stage::build(shape, 1, |builder, _| {
            let builder = builder.limits(limits()).saga("checkout", Checkout, declared);
            let builder = builder.handler("answers", Answers, |handler| handler.on::<Reserve>().on::<Charge>());
            let builder = builder.emits::<Reserve>().emits::<Release>().emits::<Charge>().emits::<Confirmed>();
            builder.emits::<Reserved>().emits::<Refused>().emits::<Paid>()
        });
        let placed = encoded(&Placed { order: "7".to_owned(), wrong: wrong.to_owned() });
        stage.feed_raw(&TopicPartition::new(Placed::TOPIC, 0), Some("7"), Some(Placed::NAME), placed);
        stage.broker.usually(Plan { ruling: Ruling::Commit, delay: Duration::from_millis(2), early: false });
        Self { stage }
    }

    fn instance(&self) -> Option<Instance> {
        let states = self.stage.broker.states(GROUP, 0);
        states.iter().find_map(|entry| read(entry).map(|(_, _, found)| found.expect("written by the same build")))
    }

    fn is_over(&self) -> bool {
        let over = |instance: Instance| matches!(instance.status, Status::Ended(_) | Status::NeedsPerson);
        self.instance().is_some_and(over)
    }

    fn ending(&self) -> Ending {
        let Instance { status, reason, undone, history, .. } = self.instance().expect("it is kept");
        let steps = history.into_iter().map(|step| (step.event, step.from, step.to, step.emitted));
        let count = |topic: &str| self.stage.broker.records(topic).iter().flatten().count();
        let topics = [Reserve::TOPIC, Release::TOPIC, Charge::TOPIC, Confirmed::TOPIC, Reserved::TOPIC, Paid::TOPIC];
        Ending { status, reason, undone, steps: steps.collect(), emitted: topics.map(count).into() }
    }

    /// Runs to the end, with the process ending at one place if it is to, and tells how many places there were.
    fn run(&self, crash: Option<Crash>) -> (u64, u64) {
        if let Some(crash) = crash {
            let (mut executor, worker) = self.stage.run();
            let mut most_polls = u64::MAX;
            match crash {
                Crash::AtCall(calls) => self.stage.broker.crash_after(calls),
                Crash::AtPoll(polls) => most_polls = polls,
            }
            let is_dead =
                |executor: &Executor<'_, Ended>| !executor.is_running(worker) || executor.polls() >= most_polls;
            executor.run_until(|executor| is_dead(executor) || self.is_over()).expect("nothing stalls");
            executor.crash(worker);
            self.stage.broker.revive();
        }
        let (mut executor, _worker) = self.stage.run();
        executor.run_until(|_| self.is_over()).expect("nothing stalls");
        (self.stage.broker.calls(), executor.polls())
    }
}

/// Where the process ends.
#[derive(Debug, Clone, Copy)]
enum Crash {
    AtCall(u64),
    AtPoll(u64),
}

#[test]
fn a_process_ends_the_same_wherever_it_is_killed() {
    for shape in [Shape::Batch, Shape::Unit] {
        for wrong in ["", "refused", "bad", "bad, for a while", "bad, for good"] {
            let undisturbed = Whole::new(shape, wrong);
            let (calls, polls) = undisturbed.run(None);
            let expected = undisturbed.ending();
            for crash in (0..=calls).map(Crash::AtCall).chain((0..=polls).map(Crash::AtPoll)) {
                let disturbed = Whole::new(shape, wrong);
                disturbed.run(Some(crash));
                assert_eq!(disturbed.ending(), expected, "{shape:?}, {wrong:?}, {crash:?}");
            }
        }
    }
}
