//! Bounds hold, are given back, and hold nothing back that they need not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tidemill_core::code::{Code, Coded};
use tidemill_core::context::Context;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::headers::Headers;
use tidemill_core::limits::{KEY_LIMIT, Limits};
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::state::Map;
use tidemill_core::time::Timestamp;

use super::stage::{OUT, Stage, encoded, limits, partition};
use super::work::{COUNT, How, KEPT, Note, Outcome, Task};
use crate::fakes::Shape;

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];

/// The most handlers that were under way at once.
fn most_at_once(stage: &Stage) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for note in &*stage.notes() {
        match note {
            Note::Begun { .. } => now += 1,
            Note::Ended { .. } => now -= 1,
        }
        most = most.max(now);
    }
    most
}

fn many_keys(shape: Shape, partitions: u32, limits: Limits) -> Stage {
    let stage = Stage::with(shape, partitions, limits, |handler| handler);
    for n in 0..60 {
        let key = format!("k{n}");
        stage.feed(
            &partition(u32::try_from(n).expect("small") % partitions),
            &key,
            Task { n, wait: 10, ..Task::default() },
        );
    }
    stage
}

#[test]
fn units_under_way_are_bounded_and_all_are_done() {
    for shape in SHAPES {
        for in_flight in [0, 1, 7] {
            let stage = many_keys(shape, 1, Limits { in_flight, ..limits() });
            let (mut executor, worker) = stage.run();
            stage.finish(&mut executor, worker);
            assert_eq!(most_at_once(&stage), in_flight.max(1), "{shape:?}");
        }
    }
}

#[test]
fn no_shard_starves_at_the_bound() {
    let stage = many_keys(Shape::Batch, 3, Limits { in_flight: 2, ..limits() });
    for n in 100..300 {
        stage.feed(&partition(0), &format!("k{n}"), Task { n, wait: 10, ..Task::default() });
    }
    let (mut executor, worker) = stage.run();
    let of_the_last = |stage: &Stage| stage.begun().iter().filter(|n| **n < 60 && **n % 3 == 2).count();
    executor.run_until(|_| of_the_last(&stage) == 20).expect("nothing stalls");
    assert!(stage.begun().len() < 150, "the first shard had everything: {}", stage.begun().len());
    stage.finish(&mut executor, worker);
}

#[test]
fn what_is_taken_and_not_done_is_bounded() {
    for shape in SHAPES {
        let stage = Stage::with(shape, 1, Limits { undone: 5, ..limits() }, |handler| handler);
        for n in 0..40 {
            stage.feed(&partition(0), &format!("k{n}"), Task { n, wait: 1_000, ..Task::default() });
        }
        let (mut executor, worker) = stage.run();
        executor.settle();
        assert_eq!(stage.begun().len(), 5);
        stage.finish(&mut executor, worker);
    }
}

#[test]
fn a_restart_with_a_full_list_of_undone_records_goes_on() {
    for shape in SHAPES {
        let stage = Stage::with(shape, 1, Limits { undone: 3, ..limits() }, |handler| handler);
        for n in 0..6 {
            let wait = if n % 2 == 0 { 2_000 } else { 0 };
            stage.feed(&partition(0), &format!("k{n}"), Task { n, wait, ..Task::default() });
        }
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.clock.passed() >= Duration::from_millis(500)).expect("a handler sleeps");
        assert_eq!(stage.broker.progress("work", &partition(0)).map(|progress| progress.undone()), Some(3));
        executor.crash(worker);
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
    }
}

#[test]
fn a_stuck_lane_leaves_room_for_other_partitions() {
    let limits = Limits { lane_queue: 2, read_ahead: 4_000, ..limits() };
    let stage = Stage::with(Shape::Batch, 2, limits, |handler| handler);
    for n in 0..300 {
        let (fails, how) = (u32::from(n == 0) * u32::MAX, How::Hang);
        stage.feed(&partition(0), "stuck", Task { n, fails, how, ..Task::default() });
    }
    for n in 300..500 {
        stage.feed(&partition(1), "free", Task { n, ..Task::default() });
    }
    let (mut executor, _) = stage.run();
    executor.run_until(|_| stage.behind() == 300).expect("nothing stalls");
    assert!(stage.clock.passed() < Duration::from_secs(1), "{:?}", stage.clock.passed());
}

#[test]
fn a_single_large_record_goes_through_a_small_room() {
    for read_ahead in [0, 1, 100] {
        let stage = Stage::with(Shape::Batch, 1, Limits { read_ahead, ..limits() }, |handler| handler);
        for n in 0..10 {
            stage.feed(&partition(0), &"k".repeat(500), Task { n, ..Task::default() });
        }
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
    }
}

#[test]
fn a_small_cache_of_state_changes_nothing() {
    let stage = Stage::with(Shape::Batch, 1, Limits { state_cache: 1, ..limits() }, |handler| handler);
    let (mut executor, worker) = stage.run();
    for round in 0..6 {
        for n in 0..10 {
            let key = ["a", "b", "c"][usize::try_from(n).expect("small") % 3];
            stage.feed(&partition(0), key, Task { n: round * 10 + n, keeps: true, emits: 1, ..Task::default() });
        }
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        stage.audit();
    }
    stage.finish(&mut executor, worker);
}

/// What a handler does under a key.
#[derive(Debug, Clone, Copy)]
enum Touch {
    Nothing,
    Get,
    Set,
    Entry,
    Range,
    Emit,
    EmitRaw,
}

struct Toucher(Touch);

const NAMES: Map<String, u64> = Map::named("names");

fn result(key: String) -> Outcome {
    Outcome { key, n: 0, count: 0, index: 0, draw: 0 }
}

#[async_trait(?Send)]
impl Handler<Task> for Toucher {
    /// The task's number is the length of the key that is made here.
    async fn handle(&self, task: &Task, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let made = "k".repeat(usize::try_from(task.n).expect("small"));
        match self.0 {
            Touch::Nothing => {}
            Touch::Get => drop(cx.get(COUNT).await?),
            Touch::Set => cx.set(COUNT, 1),
            Touch::Entry => cx.map(NAMES).insert(&made, &1),
            Touch::Range => drop(cx.map(KEPT).range(..).await?),
            Touch::Emit => cx.emit(result(made)),
            Touch::EmitRaw => cx.emit_raw(OUT, Some(made.as_bytes()), &Headers::default(), None),
        }
        Ok(())
    }
}

/// How a service ends that meets a record with a key of one length and makes one of another; `None` when all was done.
fn touched(shape: Shape, touch: Touch, key: usize, made: usize) -> Option<Coded> {
    let stage = Stage::build(shape, 1, |builder, _| builder.emits_to(OUT).on::<Task>("toucher", Toucher(touch)));
    let task = Task { n: made as u64, ..Task::default() };
    stage.feed_raw(&partition(0), Some(&"k".repeat(key)), None, encoded(&task));
    let (mut executor, worker) = stage.run();
    executor.run_until(|executor| stage.behind() == 0 || !executor.is_running(worker)).expect("nothing stalls");
    let ended = executor.result(worker).cloned();
    assert_eq!(ended.is_none(), stage.behind() == 0);
    ended.map(|ended| ended.expect_err("it was not told to stop"))
}

#[test]
fn a_key_that_is_too_long_fails_the_handler_where_it_is_used_and_is_not_shown() {
    let (cell, map) = ("count".len() + 2, "names".len() + 2);
    for shape in SHAPES {
        // Where it is used, a key of the record and one of the handler's making that just fit.
        for (touch, key, made) in [
            (Touch::Get, KEY_LIMIT - cell, 0),
            (Touch::Set, KEY_LIMIT - cell, 0),
            (Touch::Entry, 48, KEY_LIMIT - map - 48),
            (Touch::Range, KEY_LIMIT, 0),
            (Touch::Emit, 1, KEY_LIMIT),
            (Touch::EmitRaw, 1, KEY_LIMIT),
        ] {
            assert_eq!(touched(shape, touch, key, made), None, "{shape:?} {touch:?}");
            let (longer, longer_made) = if made == 0 { (key + 1, 0) } else { (key, made + 1) };
            let error = touched(shape, touch, longer, longer_made).expect("it is too long");
            assert_eq!(error.code, Code::HANDLER_FAILED, "{shape:?} {touch:?}");
            assert!(error.message.contains("toucher") && error.message.contains("2049 bytes"), "{error}");
            assert!(!error.message.contains("kkkk"), "{error}");
        }
    }
}

#[test]
fn a_long_key_is_no_matter_where_nothing_is_kept_under_it() {
    for shape in SHAPES {
        assert_eq!(touched(shape, Touch::Nothing, 5 * KEY_LIMIT, 0), None);
    }
}

#[test]
fn a_key_that_is_too_long_is_not_published() {
    let stage = Stage::new(Shape::Batch, 1);
    let mut publisher = Publisher::new(Arc::new(stage.broker.clone()), "/test");
    publisher.declare::<Outcome>().now_or_never().expect("the fake never waits").expect("the topic is there");
    let mut publish = |length: usize| {
        let event = &result("k".repeat(length));
        publisher.publish(Publication { event, id: "1", time: Timestamp::default() })
    };
    assert_eq!(publish(KEY_LIMIT), Ok(()));
    let error = publish(KEY_LIMIT + 1).expect_err("it is too long");
    assert!(error.message.contains("test.result") && error.message.contains("2049 bytes"), "{error}");
    assert_eq!(publisher.pending(), 1);
}
