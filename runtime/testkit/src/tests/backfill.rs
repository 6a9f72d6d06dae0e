//! A backfill: what was is caught up with in state, and nothing leaves because of it; where it ends, the service goes on as ever.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use tidemill_core::code::Code;
use tidemill_core::context::Context;
use tidemill_core::failure::Policies;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::handover::{self, Handover};
use tidemill_core::outputs::Outputs;
use tidemill_core::parking;
use tidemill_core::ports::{Answer, Broker, CommitBatch, Committing, LogEvent, ShardCommit, Subscription, UnitEffects};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::service::HandlerBuilder;
use tidemill_core::state::Cell;

use super::stage::{GROUP, IN, Stage, encoded, partition};
use super::work::{COUNT, HISTORY, Other, Outcome, Task};
use crate::fakes::{Shape, block_on};

const SEEN: Cell<u64> = Cell::named("seen");

/// A handler that is new.
struct Late;

#[async_trait(?Send)]
impl Handler<Other> for Late {
    async fn handle(&self, other: &Other, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let seen = cx.get(SEEN).await?.unwrap_or(0) + 1;
        cx.set(SEEN, seen);
        let key = String::from_utf8_lossy(cx.metadata().key().unwrap_or_default()).into_owned();
        cx.emit(Outcome { key, n: 1_000 + other.0.n, count: seen, index: 0, draw: 0 });
        Ok(())
    }
}

/// A handler that asks somebody outside.
struct Asks;

#[async_trait(?Send)]
impl Handler<Task> for Asks {
    async fn handle(&self, task: &Task, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let n = task.n;
        let answer: u64 = cx.call("outside", async move { Ok(n) }).await?;
        cx.set(SEEN, answer);
        Ok(())
    }
}

/// Moves the group to the beginning, to catch up, as the command does.
fn begin(stage: &Stage, handover: &Handover) {
    let topics: Vec<Arc<str>> = stage.service.input_topics().cloned().collect();
    let subscription = Subscription { group: GROUP.into(), member: "backfill".into(), topics: topics.clone() };
    let mut member = stage.broker.join(subscription).expect("nobody is there");
    let moved = async {
        let generation = poll_fn(|cx| match member.log.poll(cx, 0, &mut Vec::new()) {
            Poll::Ready(Ok(Some(LogEvent::Assigned { generation, .. }))) => Poll::Ready(generation),
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => Poll::Pending,
        })
        .await;
        let partitions: Vec<TopicPartition> =
            topics.iter().map(|topic| TopicPartition::new(topic.clone(), 0)).collect();
        let progress = partitions.iter().map(|partition| (partition.clone(), Progress::starting_at(0))).collect();
        let change = handover.change();
        let mut commit = ShardCommit { shard: 0, generation, changes: Vec::new(), progress };
        let batch = |commit| Arc::new(CommitBatch { shards: vec![commit], outputs: Outputs::default(), units: 0 });
        match &member.commits {
            Committing::Batch(commits) => {
                commits.load(0, generation, partitions).await.expect("it is loaded");
                commit.changes.push(change);
                commits.commit(batch(commit)).await
            }
            Committing::Unit(commits) => {
                commits.load(0, generation, partitions).await.expect("it is loaded");
                let transaction = commits.begin(0, generation).await.expect("it begins");
                let changes = vec![change];
                let effects = UnitEffects { done: None, changes, once: None, outputs: Outputs::default() };
                assert_eq!(transaction.commit(effects).await, Answer::Committed);
                commits.fold(batch(commit)).await
            }
        }
    };
    assert_eq!(block_on(&stage.clock, moved), Answer::Committed);
    member.log.leave();
}

fn until(of: &[(&str, u64)], handler: Option<&str>) -> Handover {
    let until = of.iter().map(|(topic, next)| ((*topic).to_owned(), Progress::starting_at(*next)));
    Handover { until: until.collect(), handler: handler.map(str::to_owned), calls: false }
}

/// Runs until everything is done and nothing is parked. Each so many turns the worker dies, if it does.
fn run(stage: &Stage, dies_after: Option<usize>) {
    loop {
        let (mut executor, worker) = stage.run();
        let mut turns = 0;
        let mut is_done = false;
        let run = executor.run_until(|executor| {
            turns += 1;
            let entries = stage.broker.states(GROUP, 0);
            is_done = stage.behind() == 0 && !entries.iter().any(|entry| parking::parked(entry).is_some());
            is_done || !executor.is_running(worker) || dies_after.is_some_and(|most| turns > most)
        });
        run.expect("nothing stalls");
        if is_done {
            stage.switch.stop();
            executor.run_to_end(worker).expect("nothing stalls");
            return;
        }
        assert!(executor.is_running(worker), "{:?}", executor.result(worker));
        executor.crash(worker);
    }
}

/// How often each task's outcome was emitted.
fn emitted(stage: &Stage) -> BTreeMap<u64, usize> {
    let mut emitted = BTreeMap::new();
    for (_, outcome) in stage.results().into_values().flatten() {
        *emitted.entry(outcome.n).or_default() += 1;
    }
    emitted
}

#[test]
fn what_was_changes_state_and_nothing_leaves_because_of_it() {
    for shape in [Shape::Batch, Shape::Unit] {
        for dies_after in [None, Some(40), Some(97)] {
            let stage = Stage::build(shape, 1, |builder, work| {
                builder.failures(Policies::default()).handler("worker", work, HandlerBuilder::on::<Task>)
            });
            for n in 0..30 {
                // One in seven fails until it was parked, some of those that are only caught up with among them.
                let task = Task { n, wait: n % 3, emits: 1, fails: if n % 7 == 0 { 4 } else { 0 }, ..Task::default() };
                stage.feed(&partition(0), &format!("key-{}", n % 4), task);
            }
            begin(&stage, &until(&[(IN, 20)], None));
            run(&stage, dies_after);
            let of_key = |key: u64| (0..30).filter(|n| n % 4 == key).collect::<Vec<u64>>();
            for key in 0..4 {
                let name = format!("key-{key}");
                assert_eq!(stage.cell(&name, HISTORY), Some(of_key(key)), "{shape:?} {dies_after:?}");
                assert_eq!(stage.cell(&name, COUNT), Some(of_key(key).len() as u64));
            }
            let live: BTreeMap<u64, usize> = (20..30).map(|n| (n, 1)).collect();
            assert_eq!(emitted(&stage), live, "{shape:?} {dies_after:?}");
            let is_left = stage.broker.states(GROUP, 0).iter().any(|(key, _)| handover::is_own(key));
            assert!(!is_left, "{shape:?} {dies_after:?}: it is over");
            stage.replay();
        }
    }
}

#[test]
fn one_handler_catches_up_and_what_others_had_is_passed_over() {
    for shape in [Shape::Batch, Shape::Unit] {
        for dies_after in [None, Some(50)] {
            let stage = Stage::build(shape, 1, |builder, work| {
                let builder = builder.handler("worker", work, HandlerBuilder::on::<Task>);
                builder.handler("late", Late, HandlerBuilder::on::<Other>)
            });
            let others = TopicPartition::new("others", 0);
            for n in 0..20 {
                stage.feed(&partition(0), "a", Task { n, wait: 1, emits: 1, ..Task::default() });
                stage.feed(&others, "a", Task { n, ..Task::default() });
            }
            begin(&stage, &until(&[(IN, 15), ("others", 12)], Some("late")));
            run(&stage, dies_after);
            assert_eq!(stage.cell("a", HISTORY), Some((15..20).collect()), "{shape:?}: what it had, it has not again");
            assert_eq!(stage.cell("a", SEEN), Some(20), "{shape:?}: it caught up");
            let live = (15..20).chain(1_012..1_020).map(|n| (n, 1)).collect();
            assert_eq!(emitted(&stage), live, "{shape:?} {dies_after:?}");
            stage.replay();
        }
    }
}

#[test]
fn who_calls_outside_while_he_catches_up_stops_the_service_unless_he_may() {
    for shape in [Shape::Batch, Shape::Unit] {
        for calls in [false, true] {
            let stage = Stage::build(shape, 1, |builder, _| builder.handler("asks", Asks, HandlerBuilder::on::<Task>));
            for n in 0..3 {
                stage.feed_raw(&partition(0), Some("a"), Some("test.task"), encoded(&Task { n, ..Task::default() }));
            }
            begin(&stage, &Handover { calls, ..until(&[(IN, 2)], None) });
            if calls {
                run(&stage, None);
                assert_eq!(stage.cell("a", SEEN), Some(2));
                continue;
            }
            let (mut executor, worker) = stage.run();
            executor.run_until(|executor| !executor.is_running(worker)).expect("it ends");
            let ended = executor.result(worker).expect("it ended").clone();
            let error = ended.expect_err("it stops");
            assert_eq!(error.code, Code::CALL_NOT_RECORDED, "{shape:?}: {error}");
            assert!(error.message.contains("calls outside"), "{error}");
        }
    }
}
