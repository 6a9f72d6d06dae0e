//! Offsets that hold no record, at the end of what there is: the log tells that it passed them, and so does progress.

use std::time::Duration;

use tidemill_core::progress::Progress;

use super::stage::{Stage, partition};
use super::work::Task;
use crate::fakes::Shape;

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];
/// Longer than anything waits here.
const A_WHILE: Duration = Duration::from_secs(5);

fn task(n: u64, wait: u64) -> Task {
    Task { n, wait, ..Task::default() }
}

fn progress(stage: &Stage) -> Option<Progress> {
    stage.broker.progress("work", &partition(0))
}

#[test]
fn a_marker_behind_the_last_record_is_committed() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        for n in 0..3 {
            stage.feed(&partition(0), "a", task(n, 0));
        }
        stage.broker.skip(&partition(0), 2);
        let (mut executor, worker) = stage.run();
        let at_the_end = |stage: &Stage| progress(stage) == Some(Progress::starting_at(5));
        executor.run_until(|_| at_the_end(&stage)).expect("nothing stalls");
        // One that comes when all is done, too.
        stage.broker.skip(&partition(0), 1);
        executor.run_until(|_| progress(&stage) == Some(Progress::starting_at(6))).expect("nothing stalls");
        stage.finish(&mut executor, worker);
        assert_eq!(stage.begun(), [0, 1, 2], "{shape:?}");
    }
}

#[test]
fn what_is_not_done_stays_listed_when_the_position_moves_on() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.feed(&partition(0), "slow", task(0, 2_000));
        stage.feed(&partition(0), "slow", task(1, 0));
        stage.feed(&partition(0), "fast", task(2, 0));
        stage.broker.skip(&partition(0), 2);
        let (mut executor, worker) = stage.run();
        let passed = |stage: &Stage| progress(stage).is_some_and(|progress| progress.next() == 5);
        executor.run_until(|_| passed(&stage)).expect("nothing stalls");
        assert!(stage.clock.passed() < Duration::from_secs(1), "{shape:?}: {:?}", stage.clock.passed());
        let known = progress(&stage).expect("committed");
        assert_eq!((known.undone(), known.resume_at()), (2, 0), "{shape:?}: {known:?}");
        stage.finish(&mut executor, worker);
        assert_eq!(progress(&stage), Some(Progress::starting_at(5)), "{shape:?}");
    }
}

#[test]
fn a_partition_without_records_is_committed_where_it_ends() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.broker.skip(&partition(0), 3);
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| progress(&stage) == Some(Progress::starting_at(3))).expect("nothing stalls");
        stage.finish(&mut executor, worker);
    }
}

#[test]
fn nothing_is_committed_when_nothing_moved() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.feed(&partition(0), "a", task(0, 0));
        stage.broker.skip(&partition(0), 1);
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| progress(&stage) == Some(Progress::starting_at(2))).expect("nothing stalls");
        stage.clock.advance(A_WHILE);
        executor.settle();
        let commits = stage.broker.commits();
        for _ in 0..5 {
            // The worker looks again, and finds nothing new.
            stage.broker.skip(&partition(0), 0);
            stage.clock.advance(A_WHILE);
            executor.settle();
        }
        assert_eq!(stage.broker.commits(), commits, "{shape:?}");
        stage.finish(&mut executor, worker);
        assert_eq!(stage.broker.commits(), commits, "{shape:?}: not at the end either");
    }
}
