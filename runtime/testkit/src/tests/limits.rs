//! Bounds hold, are given back, and hold nothing back that they need not.

use std::time::Duration;

use tidemill_core::limits::Limits;

use super::stage::{Stage, limits, partition};
use super::work::{How, Note, Task};
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
