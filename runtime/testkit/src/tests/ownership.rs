//! Partitions come and go.

use std::time::Duration;

use tidemill_core::ports::{Clock, Start};
use tidemill_core::record::TopicPartition;

use super::stage::{GROUP, Stage, limits, partition};
use super::work::{COUNT, How, Other, Task};
use crate::fakes::{Plan, Ruling, Seen, Shape, VirtualClock};

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];

fn plain(n: u64) -> Task {
    Task { n, emits: 1, ..Task::default() }
}

fn ended(stage: &Stage) -> usize {
    stage.recorder.count(|seen| matches!(seen, Seen::ShardEnded { .. }))
}

/// A stage whose partitions the test moves, with one worker that has both.
fn by_hand(shape: Shape) -> Stage {
    Stage::new(shape, 2).by_hand()
}

#[test]
fn a_revoked_shard_drains_commits_and_is_released() {
    for shape in SHAPES {
        let stage = by_hand(shape);
        stage.feed(&partition(0), "a", Task { wait: 200, ..plain(0) });
        stage.feed(&partition(0), "a", plain(1));
        stage.feed(&partition(1), "b", plain(2));
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.broker.assign(GROUP, "a", &[partition(0), partition(1)]);
        executor.settle();
        stage.broker.revoke(GROUP, "a", &[partition(0)]);
        executor.settle();
        assert!(stage.broker.owner(GROUP, &partition(0)).is_some(), "the handler is under way");
        executor.run_until(|_| stage.broker.owner(GROUP, &partition(0)).is_none()).expect("nothing stalls");
        assert_eq!(stage.cell("a", COUNT), Some(1), "committed before it is released");
        assert_eq!((ended(&stage), stage.behind()), (1, 1), "what waited in the lane is the next owner's");
        stage.audit();
        stage.feed(&partition(1), "b", plain(3));
        executor.run_until(|_| stage.cell("b", COUNT) == Some(2)).expect("the other shard runs on");
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        stage.finish(&mut executor, worker);
        assert_eq!(stage.begun(), [0, 2, 3, 1]);
    }
}

#[test]
fn a_drain_that_takes_too_long_interrupts() {
    for shape in SHAPES {
        let stage = by_hand(shape);
        stage.feed(&partition(0), "a", plain(0));
        stage.feed(&partition(0), "b", Task { fails: 1, how: How::Hang, ..plain(1) });
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        executor.settle();
        stage.broker.revoke(GROUP, "a", &[partition(0)]);
        // A commit that takes longer than the rest of the drain must not make the worker spin meanwhile.
        stage.broker.usually(Plan::after(Ruling::Commit, Duration::from_millis(100)));
        executor.run_until(|_| stage.broker.owner(GROUP, &partition(0)).is_none()).expect("nothing stalls");
        let lost = stage.recorder.count(|seen| matches!(seen, Seen::CommitFailed { .. }));
        assert_eq!((lost, stage.cell("a", COUNT)), (0, Some(1)), "{shape:?}");
        assert!(stage.clock.passed() < Duration::from_secs(4), "released before the drain was over");
        stage.audit();
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        stage.finish(&mut executor, worker);
        assert_eq!(stage.cell("b", COUNT), Some(1), "the next owner begins at its first attempt's failure again");
    }
}

#[test]
fn nothing_is_committed_for_a_lost_shard() {
    for shape in SHAPES {
        for delay in [0, 50] {
            let stage = by_hand(shape);
            stage.broker.usually(Plan::after(Ruling::Commit, Duration::from_millis(delay)));
            stage.feed(&partition(0), "a", plain(0));
            stage.feed(&partition(0), "a", Task { wait: 20, ..plain(1) });
            stage.feed(&partition(1), "b", plain(2));
            let (mut executor, worker) = stage.run();
            executor.settle();
            stage.broker.assign(GROUP, "a", &[partition(0), partition(1)]);
            executor.settle();
            if delay > 0 {
                stage.clock.advance(Duration::from_millis(5));
                executor.settle();
            }
            let before = stage.cell("a", COUNT);
            stage.broker.lose(GROUP, "a", &[partition(0)]);
            executor.run_until(|_| stage.cell("b", COUNT) == Some(1)).expect("nothing stalls");
            stage.clock.advance(Duration::from_secs(1));
            executor.settle();
            assert_eq!(stage.cell("a", COUNT), before, "{shape:?}");
            stage.audit();
            stage.broker.assign(GROUP, "a", &[partition(0)]);
            stage.finish(&mut executor, worker);
            assert_eq!((stage.cell("a", COUNT), stage.cell("b", COUNT)), (Some(2), Some(1)));
        }
    }
}

#[test]
fn a_refused_batch_with_a_lost_shard_is_not_tried_again() {
    let stage = by_hand(Shape::Batch);
    stage.feed(&partition(0), "a", plain(0));
    stage.feed(&partition(1), "b", plain(1));
    let (mut executor, worker) = stage.run();
    executor.settle();
    stage.broker.assign(GROUP, "a", &[partition(0), partition(1)]);
    stage.broker.plan(Plan::after(Ruling::Refuse, Duration::from_millis(10)));
    executor.settle();
    stage.clock.advance(Duration::from_millis(3));
    executor.settle();
    stage.broker.lose(GROUP, "a", &[partition(0)]);
    executor.run_until(|_| stage.cell("b", COUNT) == Some(1)).expect("nothing stalls");
    let tried_again = stage
        .recorder
        .count(|seen| matches!(seen, Seen::CommitFailed { what_follows, .. } if what_follows.contains("tried again")));
    assert_eq!(tried_again, 0, "the batch held a lost shard's work");
    stage.broker.assign(GROUP, "a", &[partition(0)]);
    stage.finish(&mut executor, worker);
}

#[test]
fn a_late_completion_of_an_earlier_ownership_counts_for_nothing() {
    for shape in SHAPES {
        let stage = by_hand(shape);
        stage.feed(&partition(0), "a", Task { wait: 100, ..plain(0) });
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        executor.settle();
        stage.broker.lose(GROUP, "a", &[partition(0)]);
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        executor.settle();
        assert_eq!(stage.begun(), [0, 0], "the new ownership began it again");
        stage.finish(&mut executor, worker);
        assert_eq!((stage.cell("a", COUNT), stage.results()["a"].len()), (Some(1), 1));
    }
}

#[test]
fn a_partial_shard_takes_nothing_and_says_so() {
    for shape in SHAPES {
        let stage = Stage::build(shape, 1, |builder, work| {
            builder.limits(limits()).handler("worker", work, |handler| handler.on::<Task>().on::<Other>())
        })
        .by_hand();
        let others = TopicPartition::new("others", 0);
        stage.feed(&partition(0), "a", plain(0));
        stage.feed(&others, "a", plain(1));
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        executor.settle();
        assert_eq!(stage.begun(), [0; 0]);
        let waits = stage.recorder.all().into_iter().find_map(|seen| match seen {
            Seen::ShardWaits { shard: 0, missing } => Some(missing),
            _ => None,
        });
        assert_eq!(waits, Some(vec![others.clone()]));
        stage.broker.assign(GROUP, "a", std::slice::from_ref(&others));
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        // One of them goes and comes back: the generations of the two differ.
        stage.broker.revoke(GROUP, "a", std::slice::from_ref(&others));
        executor.run_until(|_| stage.broker.owner(GROUP, &others).is_none()).expect("nothing stalls");
        stage.feed(&partition(0), "a", plain(2));
        executor.settle();
        assert_eq!(stage.begun().len(), 2);
        stage.broker.assign(GROUP, "a", &[others]);
        stage.finish(&mut executor, worker);
    }
}

#[test]
fn two_members_share_the_work_and_hand_it_over() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 4);
        let mut executor = stage.executor();
        let first = executor.spawn(stage.worker("a"));
        for n in 0..200 {
            let number = u32::try_from(n).expect("small") % 4;
            stage.feed(&partition(number), &format!("k{number}"), Task { wait: n % 7, ..plain(n) });
        }
        executor.run_until(|_| stage.begun().len() > 40).expect("nothing stalls");
        let second = executor.spawn(stage.worker("b"));
        executor.run_until(|_| stage.begun().len() > 120).expect("nothing stalls");
        stage.audit();
        executor.crash(first);
        stage.finish(&mut executor, second);
        let owned = stage.recorder.count(|seen| matches!(seen, Seen::ShardStarted { .. }));
        assert!(owned > 4, "shards moved");
    }
}

#[test]
fn a_member_that_hangs_loses_its_shards_and_does_no_harm_when_it_comes_back() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 1);
        let mut hung = stage.executor();
        let first = hung.spawn(stage.worker("a"));
        stage.feed(&partition(0), "a", Task { wait: 30, ..plain(0) });
        stage.feed(&partition(0), "b", plain(1));
        hung.settle();
        // The second sorts before the first, so it gets the only partition; the first is not polled any more.
        let mut executor = stage.executor();
        let second = executor.spawn(stage.worker("0"));
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        hung.run_until(|_| stage.clock.passed() > Duration::from_secs(20)).unwrap_or_default();
        stage.audit();
        assert_eq!((stage.cell("a", COUNT), stage.cell("b", COUNT)), (Some(1), Some(1)), "{shape:?}");
        hung.crash(first);
        stage.finish(&mut executor, second);
    }
}

#[test]
fn a_storm_of_moves_loses_nothing_and_does_nothing_twice() {
    for shape in SHAPES {
        for seed in 0..30 {
            storm(shape, seed);
        }
    }
}

fn storm(shape: Shape, seed: u64) {
    use tidemill_core::ports::Random;
    let chance = crate::fakes::Seeded::new(seed);
    let stage = Stage::new(shape, 3);
    let mut executor = stage.executor();
    let mut running = Vec::new();
    for n in 0..120 {
        let number = u32::try_from(chance.next() % 3).expect("small");
        let key = format!("k{number}{}", chance.next() % 3);
        let fails = u32::from(chance.next().is_multiple_of(11));
        stage.feed(&partition(number), &key, Task { wait: chance.next() % 9, fails, ..plain(n) });
        if n % 6 != 0 {
            continue;
        }
        let ruling = [Ruling::Commit, Ruling::UnknownApplied, Ruling::UnknownLost, Ruling::Refuse];
        let ruling = ruling[usize::try_from(chance.next() % 4).expect("small")];
        let delay = Duration::from_millis(chance.next() % 20);
        stage.broker.plan(Plan { ruling, delay, early: chance.next().is_multiple_of(2) });
        match chance.next() % 4 {
            0 if !running.is_empty() => {
                let place = usize::try_from(chance.next()).expect("64 bits") % running.len();
                executor.crash(running.swap_remove(place));
            }
            1 | 2 => running.push(executor.spawn(stage.worker(&format!("m{}", n ^ (seed & 1))))),
            _ => {}
        }
        for _ in 0..chance.next() % 20 {
            executor.turn();
        }
        stage.clock.advance(Duration::from_millis(chance.next() % 5));
        stage.audit();
    }
    let last = executor.spawn(stage.worker("zz"));
    stage.finish(&mut executor, last);
}

/// A service that begins at `start`, over five records that stand there already.
fn beginning(shape: Shape, start: Start) -> Stage {
    let stage = Stage::build(shape, 1, |builder, work| builder.start(start).on::<Task>("worker", work));
    for n in 0..5 {
        stage.feed(&partition(0), "a", plain(n));
        stage.clock.advance(Duration::from_secs(1));
    }
    stage
}

#[test]
fn a_group_begins_where_it_is_told_and_stays_there() {
    let second = VirtualClock::new().now() + Duration::from_millis(2_500);
    let late = VirtualClock::new().now() + Duration::from_hours(1);
    let cases = [(Start::Earliest, 0), (Start::Latest, 5), (Start::Time(second), 3), (Start::Time(late), 5)];
    for shape in [Shape::Batch, Shape::Unit] {
        for (start, first) in cases {
            let stage = beginning(shape, start);
            let (mut executor, _) = stage.run();
            executor.settle();
            stage.clock.advance(Duration::from_secs(1));
            executor.settle();
            // A crash, and records that come before the next start.
            drop(executor);
            for n in 5..7 {
                stage.feed(&partition(0), "a", plain(n));
            }
            let (mut executor, worker) = stage.run();
            executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
            assert_eq!(stage.begun(), (first..7).collect::<Vec<_>>(), "{shape:?} {start:?}");
            assert!(executor.is_running(worker));
        }
    }
}
