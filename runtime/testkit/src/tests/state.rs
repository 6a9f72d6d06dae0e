//! What a handler reads of its maps, against an ordered map that it keeps beside them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_core::context::Context;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::limits::Limits;
use tidemill_core::ports::{Broker, Random, Subscription};
use tidemill_core::service::Service;
use tidemill_core::state::{Cell, Map};
use tidemill_core::worker::{Ports, Worker};

use super::stage::{Stage, encoded, limits, partition};
use super::work::Task;
use crate::fakes::{Executor, Inline, Plan, Ruling, Seeded, Shape};

/// All entries of the map, as they should be.
const MIRROR: Cell<BTreeMap<i32, u64>> = Cell::named("mirror");
const ENTRIES: Map<i32, u64> = Map::named("entries");
/// A map whose name begins as the other's does.
const NEIGHBOUR: Map<i32, u64> = Map::named("entries2");

struct Mirror;

fn check(holds: bool, what: &str) -> Result<(), HandlerError> {
    if holds { Ok(()) } else { Err(HandlerError::permanent(what)) }
}

impl Mirror {
    /// Reads ranges every which way and compares.
    async fn compare(chance: &Seeded, mirror: &BTreeMap<i32, u64>, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let bound = || i32::try_from(chance.next() % 24).expect("small") - 12;
        let (from, to, limit) = (bound(), bound(), usize::try_from(chance.next() % 5).expect("small"));
        let expected: Vec<(i32, u64)> =
            mirror.iter().filter(|(key, _)| (from..to).contains(key)).map(|(k, v)| (*k, *v)).collect();
        check(cx.map(ENTRIES).range(from..to).await? == expected, "a range")?;
        let first: Vec<(i32, u64)> = expected.iter().take(limit).copied().collect();
        check(cx.map(ENTRIES).first(from..to, limit).await? == first, "the first of a range")?;
        let expected: Vec<(i32, u64)> = mirror.iter().map(|(key, value)| (*key, *value)).collect();
        check(cx.map(ENTRIES).range(..).await? == expected, "the whole map")?;
        check(cx.map(ENTRIES).range(from..=to).await?.iter().all(|(key, _)| (from..=to).contains(key)), "its bounds")?;
        check(cx.map(ENTRIES).get(&from).await? == mirror.get(&from).copied(), "an entry")
    }
}

#[async_trait(?Send)]
impl Handler<Task> for Mirror {
    async fn handle(&self, task: &Task, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let chance = Seeded::new(task.n);
        let mut mirror = cx.get(MIRROR).await?.unwrap_or_default();
        Self::compare(&chance, &mirror, cx).await?;
        for _ in 0..chance.next() % 4 {
            let key = i32::try_from(chance.next() % 20).expect("small") - 10;
            if chance.next().is_multiple_of(3) {
                mirror.remove(&key);
                cx.map(ENTRIES).remove(&key);
            } else {
                mirror.insert(key, task.n);
                cx.map(ENTRIES).insert(&key, &task.n);
            }
            cx.map(NEIGHBOUR).insert(&key, &0);
        }
        if chance.next().is_multiple_of(29) {
            mirror.clear();
            cx.map(ENTRIES).clear().await?;
        }
        Self::compare(&chance, &mirror, cx).await?;
        cx.set(MIRROR, mirror);
        Ok(())
    }
}

#[test]
fn maps_read_as_ordered_maps_whatever_is_committed_or_evicted() {
    for shape in [Shape::Batch, Shape::Unit] {
        for state_cache in [1, 5_000, 1 << 20] {
            for seed in 0..4 {
                run(shape, state_cache, seed);
            }
        }
    }
}

fn run(shape: Shape, state_cache: usize, seed: u64) {
    let limits = Limits { state_cache, commit_linger: Duration::ZERO, ..limits() };
    let service = Service::builder("mirror").limits(limits).on::<Task>("mirror", Mirror).build().expect("sound");
    let stage = Stage::new(shape, 1);
    for (topic, _) in service.own_topics() {
        stage.broker.create(topic, 1);
    }
    let ports = Ports {
        clock: stage.clock.clone(),
        random: Rc::new(Seeded::new(seed)),
        blocking: Arc::new(Inline),
        schemas: None,
        observer: stage.recorder.clone(),
        heartbeat: Arc::default(),
    };
    let topics = service.input_topics().cloned().collect();
    let subscription = Subscription { group: "mirror".into(), member: "a".into(), topics };
    let member = stage.broker.join(subscription).expect("it can join");
    let broker = stage.broker.clone();
    let mut executor = Executor::new(Arc::clone(&stage.clock));
    let worker = executor.spawn(async move {
        Worker::open(Arc::new(service), member, &broker, ports).await?.run(std::future::pending()).await
    });
    let chance = Seeded::new(seed);
    for round in 0..150_u64 {
        let task = Task { n: seed * 1_000 + round, ..Task::default() };
        stage.feed_raw(
            &partition(0),
            Some(["a", "b"][usize::from(chance.next().is_multiple_of(3))]),
            None,
            encoded(&task),
        );
        let rulings = [Ruling::Commit, Ruling::Commit, Ruling::Refuse, Ruling::UnknownApplied, Ruling::UnknownLost];
        if round.is_multiple_of(4) {
            let ruling = rulings[usize::try_from(chance.next() % 5).expect("small")];
            stage.broker.plan(Plan::after(ruling, Duration::from_millis(chance.next() % 4)));
        }
        for _ in 0..chance.next() % 6 {
            executor.turn();
        }
        stage.clock.advance(Duration::from_millis(chance.next() % 3));
    }
    let done = |stage: &Stage| {
        let progress = stage.broker.progress("mirror", &partition(0));
        progress.is_some_and(|progress| progress.next() == 150 && progress.undone() == 0)
    };
    executor.run_until(|executor| done(&stage) || !executor.is_running(worker)).expect("nothing stalls");
    assert!(executor.is_running(worker), "{shape:?}, cache {state_cache}: {:?}", executor.result(worker));
}
