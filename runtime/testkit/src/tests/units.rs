//! What is special where each unit commits by itself.

use std::time::Duration;

use tidemill_core::event::Event;
use tidemill_core::limits::Limits;
use tidemill_core::record::TopicPartition;

use super::stage::{GROUP, Stage, limits, partition};
use super::work::{COUNT, Note, Other, Task};
use crate::fakes::{Plan, Ruling, Seen, Shape};

fn plain(n: u64) -> Task {
    Task { n, emits: 1, ..Task::default() }
}

#[test]
fn units_commit_in_any_order() {
    let stage = Stage::new(Shape::Unit, 1);
    for delay in [300, 200, 100] {
        stage.broker.plan(Plan::after(Ruling::Commit, Duration::from_millis(delay)));
    }
    for (n, key) in (0..).zip(["a", "b", "c"]) {
        stage.feed(&partition(0), key, plain(n));
    }
    let (mut executor, worker) = stage.run();
    let progress = |stage: &Stage| stage.broker.progress(GROUP, &partition(0));
    executor.run_until(|_| stage.cell("c", COUNT).is_some()).expect("nothing stalls");
    let durable = progress(&stage).expect("a unit committed");
    assert_eq!((durable.next(), durable.resume_at(), durable.undone()), (3, 0, 2));
    stage.audit();
    executor.run_until(|_| stage.cell("b", COUNT).is_some()).expect("nothing stalls");
    assert_eq!(progress(&stage).map(|progress| progress.undone()), Some(1));
    stage.finish(&mut executor, worker);
}

#[test]
fn a_mark_is_written_once_however_long_that_takes() {
    let guarded = Limits { crash_guard: true, ..limits() };
    let stage = Stage::with(Shape::Unit, 1, guarded, |handler| handler);
    stage.broker.usually(Plan::after(Ruling::Commit, Duration::from_millis(50)));
    let (mut executor, worker) = stage.run();
    stage.feed(&partition(0), "a", plain(0));
    executor.run_until(|_| stage.cell("a", COUNT).is_some()).expect("nothing stalls");
    assert_eq!(stage.broker.commits(), 3, "the mark, the record, and progress");
    stage.finish(&mut executor, worker);
}

#[test]
fn the_lane_waits_for_the_commit() {
    let stage = Stage::new(Shape::Unit, 1);
    stage.broker.usually(Plan::after(Ruling::Commit, Duration::from_millis(50)));
    for n in 0..4 {
        stage.feed(&partition(0), "a", plain(n));
    }
    let (mut executor, worker) = stage.run();
    executor.settle();
    assert_eq!(stage.begun(), [0]);
    stage.finish(&mut executor, worker);
}

#[test]
fn a_refused_unit_runs_again_and_spends_no_attempt() {
    let stage = Stage::new(Shape::Unit, 1);
    stage.broker.plan(Plan::now(Ruling::Refuse));
    stage.broker.plan(Plan::now(Ruling::Refuse));
    stage.feed(&partition(0), "a", plain(0));
    let (mut executor, worker) = stage.run();
    stage.finish(&mut executor, worker);
    assert_eq!(stage.begun(), [0, 0, 0]);
    let first = |note: &Note| matches!(note, Note::Ended { .. } | Note::Begun { attempt: 1, .. });
    assert!(stage.notes().iter().all(first), "{:?}", stage.notes());
    assert_eq!(stage.recorder.count(|seen| matches!(seen, Seen::Retrying { .. })), 0);
    let refused =
        |seen: &Seen| matches!(seen, Seen::CommitFailed { what_follows, .. } if what_follows.contains("unit"));
    assert_eq!(stage.recorder.count(refused), 2);
}

#[test]
fn a_transaction_that_breaks_under_the_handler_is_no_fault_of_its() {
    let stage = Stage::new(Shape::Unit, 1);
    let (mut executor, worker) = stage.run();
    executor.settle();
    stage.broker.break_reads(2);
    stage.feed(&partition(0), "a", plain(0));
    stage.finish(&mut executor, worker);
    assert_eq!(stage.recorder.count(|seen| matches!(seen, Seen::Retrying { .. })), 0);
    assert_eq!(stage.cell("a", COUNT), Some(1));
}

#[test]
fn traces_of_single_units_are_folded_while_it_runs() {
    let stage = Stage::new(Shape::Unit, 1);
    for n in 0..30 {
        stage.feed(&partition(0), "a", plain(n));
    }
    let (mut executor, worker) = stage.run();
    executor.settle();
    assert_eq!(stage.broker.unfolded(GROUP, &partition(0)), 30);
    stage.clock.advance(Duration::from_secs(1));
    executor.settle();
    assert_eq!(stage.broker.unfolded(GROUP, &partition(0)), 0);
    stage.finish(&mut executor, worker);
}

#[test]
fn a_group_that_begins_behind_deleted_records_keeps_its_place() {
    for shape in [Shape::Batch, Shape::Unit] {
        let stage = Stage::new(shape, 2);
        for n in 0..20 {
            stage.feed(
                &partition(0),
                ["a", "b"][usize::try_from(n).expect("small") % 2],
                Task { wait: n % 2 * 5, ..plain(n) },
            );
            stage.feed_raw(&partition(1), None, Some("test.task"), Vec::new());
        }
        stage.broker.delete_before(&partition(0), 10);
        stage.broker.delete_before(&partition(1), 20);
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.broker.commits() > 0).expect("nothing stalls");
        executor.crash(worker);
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        assert!(executor.is_running(worker), "{:?}", executor.result(worker));
        assert_eq!((stage.cell("a", COUNT), stage.cell("b", COUNT)), (Some(5), Some(5)), "{shape:?}");
    }
}

#[test]
fn what_compaction_removed_is_not_waited_for() {
    for shape in [Shape::Batch, Shape::Unit] {
        let stage = Stage::new(shape, 1);
        stage.feed(&partition(0), "a", Task { wait: 5_000, ..plain(0) });
        for n in 1..6 {
            stage.feed(&partition(0), "b", plain(n));
        }
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 1).expect("nothing stalls");
        executor.crash(worker);
        stage.broker.compact(&partition(0), 0);
        stage.feed(&partition(0), "b", plain(6));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        stage.clock.advance(Duration::from_secs(1));
        executor.settle();
        let progress = stage.broker.progress(GROUP, &partition(0)).expect("committed");
        assert_eq!((progress.undone(), progress.next()), (0, 7), "{shape:?}");
        assert!(executor.is_running(worker));
    }
}

#[test]
fn a_topic_that_was_never_read_has_no_progress_to_commit() {
    for shape in [Shape::Batch, Shape::Unit] {
        let stage = Stage::build(shape, 1, |builder, work| {
            builder.limits(limits()).handler("worker", work, |handler| handler.on::<Task>().on::<Other>())
        });
        let others = TopicPartition::new(Other::TOPIC, 0);
        for n in 0..5 {
            stage.feed(&others, "b", plain(n));
        }
        stage.broker.delete_before(&others, 5);
        stage.feed(&partition(0), "a", plain(5));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        stage.clock.advance(Duration::from_secs(1));
        executor.settle();
        executor.crash(worker);
        // Offset 0 is gone: beginning there would be refused.
        stage.feed(&others, "b", plain(6));
        let (mut executor, worker) = stage.run();
        executor.run_until(|executor| stage.behind() == 0 || !executor.is_running(worker)).expect("nothing stalls");
        assert!(executor.is_running(worker), "{shape:?}: {:?}", executor.result(worker));
    }
}
