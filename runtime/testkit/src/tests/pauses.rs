//! An operator pauses a service, and lets it go on.

use std::time::Duration;

use super::stage::{GROUP, Stage, partition};
use super::work::{COUNT, Task};
use crate::fakes::Shape;

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];

fn plain(n: u64) -> Task {
    Task { n, emits: 1, ..Task::default() }
}

#[test]
fn in_a_pause_what_is_under_way_ends_and_nothing_begins() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 2);
        // One is under way, with one behind it in its lane.
        stage.feed(&partition(0), "a", Task { wait: 200, ..plain(0) });
        stage.feed(&partition(0), "a", plain(1));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.begun() == [0]).expect("nothing stalls");
        stage.broker.pause(GROUP, true);
        executor.settle();
        stage.feed(&partition(0), "a", plain(2));
        stage.feed(&partition(1), "b", plain(3));
        executor.run_until(|_| stage.cell("a", COUNT) == Some(1)).expect("what is under way ends and is committed");
        stage.clock.advance(Duration::from_mins(1));
        executor.settle();
        assert_eq!((stage.begun(), stage.behind()), (vec![0], 3), "{shape:?}");
        stage.broker.pause(GROUP, false);
        stage.finish(&mut executor, worker);
        assert_eq!((stage.cell("a", COUNT), stage.cell("b", COUNT)), (Some(3), Some(1)));
        let of_a: Vec<u64> = stage.begun().into_iter().filter(|n| *n != 3).collect();
        assert_eq!(of_a, [0, 1, 2], "in order: {shape:?}");
    }
}

#[test]
fn who_comes_to_a_paused_group_begins_nothing() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 2);
        stage.broker.pause(GROUP, true);
        stage.feed(&partition(0), "a", plain(0));
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.clock.advance(Duration::from_mins(1));
        executor.settle();
        assert_eq!((stage.begun().len(), stage.behind()), (0, 1), "{shape:?}");
        assert!(stage.broker.owner(GROUP, &partition(0)).is_some(), "it owns what it does not work on");
        stage.broker.pause(GROUP, false);
        stage.finish(&mut executor, worker);
    }
}

#[test]
fn a_shard_moves_in_a_pause_and_is_paused_where_it_comes_to() {
    for shape in SHAPES {
        let stage = Stage::new(shape, 2).by_hand();
        stage.feed(&partition(0), "a", Task { wait: 200, ..plain(0) });
        stage.feed(&partition(0), "a", plain(1));
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.broker.assign(GROUP, "a", &[partition(0), partition(1)]);
        executor.run_until(|_| stage.begun() == [0]).expect("nothing stalls");
        stage.broker.pause(GROUP, true);
        executor.settle();
        stage.broker.revoke(GROUP, "a", &[partition(0)]);
        executor.run_until(|_| stage.broker.owner(GROUP, &partition(0)).is_none()).expect("nothing stalls");
        assert_eq!((stage.cell("a", COUNT), stage.behind()), (Some(1), 1), "{shape:?}");
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        executor.settle();
        stage.clock.advance(Duration::from_mins(1));
        executor.settle();
        assert_eq!(stage.begun(), [0], "{shape:?}");
        stage.broker.pause(GROUP, false);
        stage.finish(&mut executor, worker);
        assert_eq!(stage.begun(), [0, 1], "{shape:?}");
    }
}
