//! Attempts, and what ends a service.

use std::sync::LazyLock;
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::context::Context;
use tidemill_core::failure::Policies;
use tidemill_core::handler::HandlerError;
use tidemill_core::limits::Limits;
use tidemill_core::retry::Retry;
use tidemill_core::state::Cell;
use tidemill_core::worker::Left;

use super::stage::{Ended, OUT, Stage, encoded, limits, partition};
use super::work::{COUNT, How, Note, Task};
use crate::fakes::{Executor, Seen, Shape};

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];
const ALWAYS: u32 = u32::MAX;
/// A key that makes what is emitted too large for some.
static LONG: LazyLock<String> = LazyLock::new(|| "k".repeat(500));

fn ends(stage: &Stage) -> (Executor<'static, Ended>, Coded) {
    let (mut executor, worker) = stage.run();
    executor.run_to_end(worker).expect("nothing stalls");
    let error = executor.result(worker).expect("it ended").clone().expect_err("it cannot go on");
    assert_eq!(stage.broker.open_transactions(), 0);
    stage.audit();
    (executor, error)
}

fn failing(shape: Shape, how: How, fails: u32) -> Stage {
    let stage = Stage::new(shape, 1);
    stage.feed(&partition(0), "a", Task { n: 0, emits: 1, ..Task::default() });
    stage.feed(&partition(0), "a", Task { n: 1, emits: 1, fails, how, ..Task::default() });
    stage.feed(&partition(0), "a", Task { n: 2, emits: 1, ..Task::default() });
    stage
}

fn attempts(stage: &Stage) -> Vec<u32> {
    let of = |note: &Note| if let Note::Begun { n: 1, attempt, .. } = note { Some(*attempt) } else { None };
    stage.notes().iter().filter_map(of).collect()
}

#[test]
fn a_failed_attempt_is_tried_again_and_leaves_no_trace() {
    for shape in SHAPES {
        for how in [How::Transient, How::Panic, How::Hang, How::HangAndPanic] {
            let stage = failing(shape, how, 2);
            let (mut executor, worker) = stage.run();
            stage.finish(&mut executor, worker);
            assert_eq!(attempts(&stage), [1, 2, 3], "{shape:?} {how:?}");
            assert_eq!(stage.recorder.count(|seen| matches!(seen, Seen::Retrying { .. })), 2);
            assert_eq!((stage.cell("a", COUNT), stage.results()["a"].len()), (Some(3), 3));
        }
    }
}

/// Records of which one emits something that is too large, under a key of its own.
fn with_one_too_large(shape: Shape, wait: u64) -> (Stage, u64) {
    const RECORDS: u64 = 1_000;
    const BAD: u64 = 700;
    let stage = Stage::new(shape, 2);
    stage.broker.refuse_values_over(500);
    for n in 0..RECORDS {
        let key = if n == BAD { LONG.clone() } else { format!("key-{}", n % 7) };
        let wait = if n % 5 == 0 { wait } else { 0 };
        stage.feed(&partition(u32::from(n == BAD)), &key, Task { n, wait, emits: 1, ..Task::default() });
    }
    (stage, RECORDS)
}

#[test]
fn who_does_what_is_refused_is_found_and_named_alone() {
    for (shape, wait) in [(Shape::Batch, 0), (Shape::Batch, 3), (Shape::Unit, 0), (Shape::Unit, 3)] {
        let (stage, records) = with_one_too_large(shape, wait);
        let (_, error) = ends(&stage);
        assert_eq!(error.code, Code::EFFECTS_REFUSED);
        assert!(error.message.contains("handler worker: record at tasks-1@0: "), "{error}");
        assert!(error.message.contains("too large"), "{error}");
        let failed = |seen: &Seen| matches!(seen, Seen::UnitEnded { failure: Some(_), .. });
        assert_eq!(stage.recorder.count(failed), 1, "{shape:?} {wait}");
        let commits = stage.broker.commits();
        assert!(shape == Shape::Unit || wait > 0 || commits < 50, "{commits} commits");
        // When it is taken, everything has its effects once.
        stage.broker.refuse_values_over(usize::MAX);
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
        assert_eq!(stage.results().values().map(Vec::len).sum::<usize>() as u64, records);
    }
}

#[test]
fn an_output_larger_than_its_topic_takes_fails_its_unit_when_it_is_emitted() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.broker.tell_largest(800);
        stage.feed(&partition(0), "a", Task { n: 0, emits: 1, ..Task::default() });
        stage.feed(&partition(0), &LONG, Task { n: 1, emits: 1, ..Task::default() });
        let (_, error) = ends(&stage);
        assert_eq!((error.code, stage.begun().len()), (Code::HANDLER_FAILED, 2), "no second attempt: {error}");
        for words in ["tasks-0@1", "after 1 attempt: ", " bytes, and its topic takes 800"] {
            assert!(error.message.contains(words), "it does not say {words:?}: {error}");
        }
        assert_eq!(stage.behind(), 1, "what came before went through");
    }
}

#[test]
fn what_comes_before_a_refused_unit_goes_through() {
    let stage = Stage::new(Shape::Batch, 1);
    stage.broker.refuse_values_over(500);
    for n in 0..100 {
        stage.feed(&partition(0), if n == 63 { &LONG } else { "a" }, Task { n, emits: 1, ..Task::default() });
    }
    let (_, error) = ends(&stage);
    assert!(error.message.contains("tasks-0@63"), "{error}");
    assert_eq!(stage.behind(), 37, "all before it are done, and nothing after it");
}

/// The mark that each shard writes when it is read again is a commit that goes through, and says nothing of the units.
#[test]
fn with_the_guard_on_a_refused_unit_is_found_in_as_many_commits() {
    let guarded = Limits { crash_guard: true, ..limits() };
    let stage = Stage::with(Shape::Batch, 2, guarded, |handler| handler);
    stage.broker.refuse_values_over(500);
    for n in 0..100 {
        stage.feed(&partition(0), if n == 63 { &LONG } else { "a" }, Task { n, emits: 1, ..Task::default() });
    }
    let (_, error) = ends(&stage);
    assert!(error.message.contains("tasks-0@63"), "{error}");
    assert!(stage.broker.commits() < 50, "{} commits", stage.broker.commits());
}

#[test]
fn no_transaction_is_open_while_an_attempt_is_awaited() {
    let stage = Stage::build(Shape::Unit, 1, |builder, work| {
        let slow = Duration::from_secs(50);
        let retry = Retry { attempts: 3, first_delay: slow, longest_delay: slow };
        let failures = Policies::stopping().with_retry(&retry);
        builder.handler("worker", work, |handler| handler.on::<Task>().failures(failures))
    });
    stage.feed(&partition(0), "a", Task { fails: 1, ..Task::default() });
    let (mut executor, worker) = stage.run();
    executor.settle();
    assert_eq!((stage.begun().len(), stage.broker.open_transactions()), (1, 0));
    stage.finish(&mut executor, worker);
}

#[test]
fn attempts_spent_stop_the_service_and_name_the_record() {
    for shape in SHAPES {
        for how in [How::Transient, How::Panic, How::Hang, How::HangAndPanic] {
            let stage = failing(shape, how, ALWAYS);
            let (_, error) = ends(&stage);
            assert_eq!(error.code, Code::HANDLER_FAILED, "{error}");
            assert!(error.message.contains("worker") && error.message.contains("tasks-0@1"), "{error}");
            assert!(error.message.contains("after 4 attempts"), "{error}");
            assert_eq!(stage.behind(), 2, "the failed one and the one behind it");
            assert_eq!(stage.begun().last(), Some(&1), "nothing overtakes it");
        }
    }
}

#[test]
fn a_permanent_failure_is_not_tried_again() {
    for shape in SHAPES {
        for how in [How::Permanent, How::Undeclared] {
            let stage = failing(shape, how, ALWAYS);
            let (_, error) = ends(&stage);
            assert_eq!((error.code, attempts(&stage)), (Code::HANDLER_FAILED, vec![1]), "{error}");
            assert_eq!(stage.behind(), 2);
        }
    }
}

#[test]
fn mending_the_handler_goes_on_where_it_stopped() {
    let stage = failing(Shape::Batch, How::Permanent, 1);
    let (_, error) = ends(&stage);
    assert!(error.message.contains("not ever"), "{error}");
    // Feeding the same group with a record that no longer fails stands for the mended handler.
    assert_eq!(stage.broker.progress("work", &partition(0)).map(|progress| progress.resume_at()), Some(1));
}

#[test]
fn what_cannot_be_read_stops_the_service() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.feed_raw(&partition(0), Some("a"), Some("test.task"), b"{".to_vec());
        let (_, error) = ends(&stage);
        assert_eq!(error.code, Code::UNDECODABLE);
        assert!(error.message.contains("tasks-0@0") && error.message.contains("test.task"), "{error}");
    }
}

/// Writes a word for the first record, and reads it as a number for the second.
async fn misread(task: &Task, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    const WORD: Cell<String> = Cell::named(COUNT.name());
    if task.n == 0 {
        cx.set(WORD, "one".to_owned());
        return Ok(());
    }
    cx.get(COUNT).await.map(drop)
}

#[test]
fn state_that_cannot_be_read_stops_the_service_and_names_the_record_and_no_key() {
    for shape in SHAPES {
        let stage = Stage::build(shape, 1, |builder, _| builder.on::<Task>("misreader", misread));
        for n in 0..2 {
            stage.feed_raw(&partition(0), Some("somebody"), None, encoded(&Task { n, ..Task::default() }));
        }
        let (_, error) = ends(&stage);
        assert_eq!((error.code, stage.behind()), (Code::STATE_UNREADABLE, 1), "{error}");
        for named in ["count", "misreader", "tasks-0@1"] {
            assert!(error.message.contains(named), "{error}");
        }
        assert!(!error.message.contains("somebody"), "{error}");
    }
}

#[test]
fn an_unknown_type_stops_the_service_unless_it_is_declared() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.feed(&partition(0), "a", Task::default());
        stage.feed_raw(&partition(0), Some("a"), Some("test.foreign"), Vec::new());
        let (_, error) = ends(&stage);
        assert_eq!((error.code, stage.behind()), (Code::UNKNOWN_TYPE, 1), "{error}");
        assert!(error.message.contains("tasks-0@1") && error.message.contains("test.foreign"), "{error}");
    }
}

#[test]
fn ignored_types_are_done_durably_without_effects() {
    for shape in SHAPES {
        let stage = Stage::build(shape, 1, |builder, work| {
            builder.limits(limits()).on::<Task>("worker", work).ignore_unknown("tasks")
        });
        for _ in 0..5 {
            stage.feed_raw(&partition(0), Some("a"), Some("test.foreign"), Vec::new());
        }
        stage.feed(&partition(0), "a", Task::default());
        stage.feed_raw(&partition(0), Some("a"), Some("test.foreign"), Vec::new());
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
        assert_eq!(stage.begun().len(), 1);
        assert!(stage.broker.records(OUT)[0].is_empty());
    }
}

#[test]
fn others_commit_what_they_did_when_the_service_stops() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.feed(&partition(0), "a", Task { n: 0, wait: 100, ..Task::default() });
        stage.feed(&partition(0), "b", Task { n: 1, ..Task::default() });
        stage.feed(&partition(0), "c", Task { n: 2, fails: ALWAYS, how: How::Permanent, ..Task::default() });
        stage.feed(&partition(0), "d", Task { n: 3, ..Task::default() });
        let (_, error) = ends(&stage);
        assert_eq!(error.code, Code::HANDLER_FAILED);
        assert_eq!(stage.cell("a", COUNT), Some(1), "what was under way ended");
        assert_eq!(stage.cell("b", COUNT), Some(1), "what completed was committed");
        assert_eq!(stage.cell("d", COUNT), None, "nothing more was taken");
    }
}

#[test]
fn stopping_drains_and_tells_that_nothing_is_left() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.feed(&partition(0), "a", Task { n: 0, wait: 500, ..Task::default() });
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
        assert_eq!(executor.result(worker), Some(&Ok(Left::default())));
        assert_eq!((stage.behind(), stage.cell("a", COUNT)), (0, Some(1)));
    }
}

#[test]
fn stopping_does_not_wait_for_ever_and_tells_what_was_left() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.feed(&partition(0), "b", Task { n: 0, ..Task::default() });
        stage.feed(&partition(0), "a", Task { n: 1, fails: ALWAYS, how: How::Hang, ..Task::default() });
        stage.feed(&partition(0), "a", Task { n: 2, ..Task::default() });
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
        assert_eq!(executor.result(worker), Some(&Ok(Left { interrupted: 2, uncommitted: 0 })));
        assert_eq!(stage.behind(), 2);
        let spent = stage
            .recorder
            .count(|seen| matches!(seen, Seen::Retrying { .. } | Seen::UnitEnded { failure: Some(_), .. }));
        assert_eq!(spent, 0, "an interruption is no failure");
        stage.audit();
    }
}
