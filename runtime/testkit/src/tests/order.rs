//! One key strictly in order, others meanwhile.

use super::stage::{IN, Stage, limits, partition};
use super::work::{Note, Other, Task};
use crate::fakes::Shape;
use tidemill_core::limits::Limits;
use tidemill_core::record::TopicPartition;
use tidemill_core::service::HandlerBuilder;

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];

fn waits(n: u64, wait: u64) -> Task {
    Task { n, wait, emits: 1, ..Task::default() }
}

#[test]
fn a_key_keeps_its_order_whatever_its_handlers_wait_for() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        for (n, wait) in [(0, 50), (1, 0), (2, 20), (3, 0), (4, 0)] {
            stage.feed(&partition(0), "a", waits(n, wait));
        }
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
        assert_eq!(stage.begun(), [0, 1, 2, 3, 4], "{shape:?}");
        let counts: Vec<u64> = stage.results()["a"].iter().map(|(_, outcome)| outcome.count).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5], "each sees what the one before wrote");
    }
}

#[test]
fn other_keys_run_on_and_are_committed() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        stage.feed(&partition(0), "slow", waits(0, 1_000));
        stage.feed(&partition(0), "slow", waits(1, 0));
        for n in 2..20 {
            stage.feed(&partition(0), "fast", waits(n, 0));
        }
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 2).expect("nothing stalls");
        assert!(stage.clock.passed().as_millis() < 200, "{:?}", stage.clock.passed());
        stage.audit();
        stage.finish(&mut executor, worker);
    }
}

#[test]
fn records_without_a_key_have_no_order_and_no_state() {
    let stage = Stage::new(Shape::Batch, 1);
    let task = |n, wait| {
        super::stage::encoded(&Task { n, wait, fails: u32::MAX, how: super::work::How::Hang, ..Task::default() })
    };
    for n in 0..3 {
        stage.feed_raw(&partition(0), None, Some("test.task"), task(n, 0));
    }
    let (mut executor, _) = stage.run();
    executor.settle();
    assert_eq!(stage.begun(), [0, 1, 2], "all three are under way at once");
}

#[test]
fn in_order_makes_the_partition_one_lane() {
    for shape in SHAPES {
        let stage = Stage::with(shape, 2, limits(), HandlerBuilder::in_order);
        for (n, key, wait) in [(0, "a", 30), (1, "b", 0), (2, "c", 10), (3, "a", 0)] {
            stage.feed(&partition(0), key, waits(n, wait));
        }
        stage.feed(&partition(1), "z", waits(9, 0));
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
        let order: Vec<Note> = stage
            .notes()
            .iter()
            .filter(|note| !matches!(note, Note::Begun { n: 9, .. } | Note::Ended { n: 9, .. }))
            .cloned()
            .collect();
        let numbers = |note: &Note| match note {
            Note::Begun { n, .. } => (true, *n),
            Note::Ended { n, .. } => (false, *n),
        };
        let order: Vec<(bool, u64)> = order.iter().map(numbers).collect();
        let expected: Vec<(bool, u64)> = (0..4).flat_map(|n| [(true, n), (false, n)]).collect();
        assert_eq!(order, expected, "one begins when the one before ended");
    }
}

#[test]
fn two_topics_share_the_state_of_a_key_and_its_lane() {
    for shape in SHAPES {
        let stage = two_topics(shape, limits());
        let others = TopicPartition::new("others", 0);
        stage.feed(&partition(0), "a", waits(0, 20));
        stage.feed(&others, "a", waits(1, 0));
        stage.feed(&others, "b", waits(2, 0));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        let counts: Vec<u64> = stage.results()["a"].iter().map(|(_, outcome)| outcome.count).collect();
        assert_eq!(counts, [1, 2], "no update is lost between the topics");
        stage.finish(&mut executor, worker);
    }
}

fn two_topics(shape: Shape, limits: Limits) -> Stage {
    Stage::build(shape, 1, |builder, work| {
        builder.limits(limits).handler("worker", work, |handler| handler.on::<Task>().on::<Other>())
    })
}

#[test]
fn a_topic_that_cannot_go_on_does_not_hold_up_the_other() {
    let stage = two_topics(Shape::Batch, Limits { lane_queue: 1, ..limits() });
    for n in 0..10 {
        stage.feed(&partition(0), "stuck", waits(n, if n == 0 { 2_000 } else { 0 }));
    }
    for n in 10..40 {
        stage.feed(&TopicPartition::new("others", 0), "free", waits(n, 0));
    }
    let (mut executor, worker) = stage.run();
    executor.run_until(|_| stage.behind() == 10).expect("nothing stalls");
    assert!(stage.clock.passed().as_millis() < 1_000, "{:?}", stage.clock.passed());
    stage.finish(&mut executor, worker);
}

#[test]
fn gaps_of_the_log_cost_nothing() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        for n in 0..9 {
            stage.feed(&partition(0), ["a", "b"][usize::try_from(n).expect("small") % 2], waits(n, n % 3));
            stage.broker.skip(&partition(0), n);
        }
        let (mut executor, worker) = stage.run();
        stage.finish(&mut executor, worker);
        let progress = stage.broker.progress("work", &partition(0)).expect("committed");
        assert_eq!(progress.undone(), 0, "{shape:?}: {progress:?}");
        assert_eq!(stage.broker.unfolded("work", &TopicPartition::new(IN, 0)), 0);
    }
}
