//! What follows each answer to a commit.

use std::time::Duration;

use tidemill_core::limits::Limits;

use super::stage::{Stage, limits, partition};
use super::work::{COUNT, How, Note, Task};
use crate::fakes::{Plan, Ruling, Seen, Shape};

fn plain(n: u64) -> Task {
    Task { n, emits: 1, ..Task::default() }
}

fn fed(shape: Shape, count: u64) -> Stage {
    let stage = Stage::new(shape, 1);
    for n in 0..count {
        stage.feed(&partition(0), "a", plain(n));
    }
    stage
}

fn commits(stage: &Stage) -> usize {
    stage.recorder.count(|seen| matches!(seen, Seen::Committed(_)))
}

#[test]
fn a_drained_input_is_committed_after_the_linger_in_one() {
    let stage = fed(Shape::Batch, 50);
    let (mut executor, worker) = stage.run();
    executor.settle();
    assert_eq!((stage.begun().len(), commits(&stage)), (50, 0), "all is done, and waits for more");
    stage.clock.advance(limits().commit_linger);
    executor.settle();
    assert_eq!((commits(&stage), stage.behind()), (1, 0));
    stage.finish(&mut executor, worker);
}

#[test]
fn under_load_the_interval_counts() {
    let stage = fed(Shape::Batch, 1);
    let (mut executor, worker) = stage.run();
    executor.settle();
    // Something new before the input was drained for as long as the linger.
    let limits = limits();
    for n in 1..40 {
        stage.clock.advance(limits.commit_linger / 2);
        stage.feed(&partition(0), "a", plain(n));
        executor.turn();
    }
    assert!(commits(&stage) < 20, "{} commits in 40 steps", commits(&stage));
    executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
    assert!(stage.clock.passed() <= limits.commit_interval + limits.commit_linger);
    stage.finish(&mut executor, worker);
}

#[test]
fn a_full_commit_goes_out_at_once() {
    let limits = Limits { commit_bytes: 200, commit_linger: Duration::from_mins(1), ..limits() };
    let limits = Limits { commit_interval: Duration::from_mins(1), ..limits };
    let stage = Stage::with(Shape::Batch, 1, limits, |handler| handler);
    for n in 0..600 {
        stage.feed(&partition(0), "a", plain(n));
    }
    let (mut executor, _) = stage.run();
    executor.settle();
    assert!(commits(&stage) > 1, "time stands still");
}

#[test]
fn a_slow_commit_holds_memory_in_bounds() {
    let limits = Limits { commit_bytes: 2_000, ..limits() };
    let stage = Stage::with(Shape::Batch, 1, limits, |handler| handler);
    stage.broker.usually(Plan::after(Ruling::Commit, Duration::from_secs(10)));
    for n in 0..20_000 {
        stage.feed(&partition(0), "a", plain(n));
    }
    let (mut executor, _) = stage.run();
    executor.settle();
    stage.clock.advance(Duration::from_secs(1));
    executor.settle();
    assert!(stage.begun().len() < 2_000, "{} units wait for one commit", stage.begun().len());
}

#[test]
fn handlers_go_on_during_a_commit_and_see_what_is_not_committed() {
    let stage = fed(Shape::Batch, 5);
    stage.broker.usually(Plan::after(Ruling::Commit, Duration::from_secs(1)));
    let (mut executor, worker) = stage.run();
    executor.settle();
    stage.clock.advance(Duration::from_millis(10));
    executor.settle();
    stage.feed(&partition(0), "a", plain(5));
    executor.settle();
    assert_eq!((stage.begun().len(), commits(&stage)), (6, 0), "the first commit is under way");
    assert!(stage.results().is_empty(), "nobody sees results before");
    let last = stage.notes().iter().rev().find_map(|note| match note {
        Note::Begun { count, .. } => Some(*count),
        Note::Ended { .. } => None,
    });
    assert_eq!(last, Some(5));
    stage.finish(&mut executor, worker);
    assert_eq!(stage.cell("a", COUNT), Some(6));
}

#[test]
fn refused_is_the_same_batch_again_and_no_handler() {
    let stage = fed(Shape::Batch, 4);
    stage.broker.plan(Plan::now(Ruling::Refuse));
    stage.broker.plan(Plan::now(Ruling::Refuse));
    let (mut executor, worker) = stage.run();
    stage.finish(&mut executor, worker);
    assert_eq!(stage.begun(), [0, 1, 2, 3]);
    assert_eq!(stage.recorder.count(|seen| matches!(seen, Seen::CommitFailed { .. })), 2);
}

#[test]
fn refused_while_more_completes_keeps_the_order() {
    let stage = fed(Shape::Batch, 3);
    stage.broker.plan(Plan::after(Ruling::Refuse, Duration::from_millis(10)));
    stage.broker.plan(Plan::after(Ruling::Refuse, Duration::from_millis(10)));
    let (mut executor, worker) = stage.run();
    executor.run_until(|_| stage.begun().len() == 3).expect("nothing stalls");
    stage.clock.advance(Duration::from_millis(3));
    executor.settle();
    for n in 3..6 {
        stage.feed(&partition(0), "a", plain(n));
    }
    stage.finish(&mut executor, worker);
    assert_eq!(stage.begun(), [0, 1, 2, 3, 4, 5]);
    let counts: Vec<u64> = stage.results()["a"].iter().map(|(_, outcome)| outcome.count).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn refused_for_ever_ends_the_service_with_the_cause() {
    for shape in [Shape::Batch, Shape::Unit] {
        let stage = fed(shape, 1);
        stage.broker.usually(Plan::now(Ruling::Refuse));
        let (mut executor, worker) = stage.run();
        executor.run_to_end(worker).expect("nothing stalls");
        let error = executor.result(worker).expect("it ended").as_ref().expect_err("nothing was committed");
        assert!(error.message.contains("not committed"), "{error}");
        assert_eq!(stage.behind(), 1);
        stage.audit();
    }
}

#[test]
fn unknown_means_once_whichever_it_was() {
    for shape in [Shape::Batch, Shape::Unit] {
        for ruling in [Ruling::UnknownApplied, Ruling::UnknownLost] {
            for early in [true, false] {
                let stage = fed(shape, 6);
                stage.feed(&partition(0), "b", Task { n: 9, wait: 30, emits: 2, ..Task::default() });
                stage.broker.plan(Plan { ruling, delay: Duration::from_millis(5), early });
                let (mut executor, worker) = stage.run();
                stage.finish(&mut executor, worker);
                assert_eq!(stage.cell("a", COUNT), Some(6), "{shape:?} {ruling:?}");
                assert_eq!(stage.results()["b"].len(), 2);
                if shape == Shape::Batch && ruling == Ruling::UnknownLost {
                    assert!(stage.begun().len() >= 13, "everything ran again");
                }
            }
        }
    }
}

#[test]
fn what_completes_during_a_commit_that_ends_unknown_goes_too() {
    let stage = fed(Shape::Batch, 2);
    stage.broker.plan(Plan::after(Ruling::UnknownLost, Duration::from_millis(50)));
    let (mut executor, worker) = stage.run();
    executor.settle();
    stage.clock.advance(Duration::from_millis(5));
    executor.settle();
    stage.feed(&partition(0), "a", plain(2));
    executor.settle();
    assert_eq!(stage.begun(), [0, 1, 2]);
    stage.finish(&mut executor, worker);
    assert_eq!(stage.begun(), [0, 1, 2, 0, 1, 2], "built on what is not durable, so done again");
    assert_eq!(stage.cell("a", COUNT), Some(3));
}

#[test]
fn fenced_by_the_answer_reads_again() {
    for shape in [Shape::Batch, Shape::Unit] {
        let stage = fed(shape, 3);
        stage.broker.plan(Plan::now(Ruling::Fence));
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
        assert_eq!(stage.cell("a", COUNT), Some(3));
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_commits() {
    let stage = fed(Shape::Batch, 3);
    let (mut executor, worker) = stage.run();
    executor.settle();
    stage.clock.set_back(Duration::from_hours(1));
    executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
    assert!(stage.clock.passed() < Duration::from_secs(1), "{:?}", stage.clock.passed());
    stage.finish(&mut executor, worker);
}

#[test]
fn state_that_cannot_be_read_stops_even_if_the_handler_looks_away() {
    let stage = Stage::new(Shape::Batch, 1);
    stage.feed(&partition(0), "a", Task { fails: 9, how: How::Ignore, ..plain(0) });
    stage.broker.break_reads(1);
    let (mut executor, worker) = stage.run();
    executor.run_to_end(worker).expect("nothing stalls");
    assert!(matches!(executor.result(worker), Some(Err(_))));
    assert_eq!(stage.behind(), 1, "nothing was decided on half of the truth");
}
