use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

use super::{LaneId, Lanes};
use crate::state::StateId;

fn lane(key: &'static str) -> LaneId {
    LaneId::Key(StateId { handler: 0, key: Bytes::from_static(key.as_bytes()) })
}

#[test]
fn what_waits_comes_out_in_order_and_then_the_lane_is_free() {
    let mut lanes = Lanes::default();
    lanes.occupy(lane("a"));
    lanes.push(&lane("a"), 1);
    lanes.push(&lane("a"), 2);
    assert_eq!(lanes.queued(&lane("a")), Some(2));
    assert_eq!(lanes.queued(&lane("b")), None);
    assert_eq!((lanes.next(&lane("a")), lanes.next(&lane("a")), lanes.next(&lane("a"))), (Some(1), Some(2), None));
    assert_eq!(lanes.queued(&lane("a")), None);
}

#[test]
fn forgetting_keeps_the_lane_busy() {
    let mut lanes = Lanes::default();
    lanes.occupy(LaneId::Partition(0));
    lanes.push(&LaneId::Partition(0), 1);
    assert_eq!(lanes.forget_waiting(), 1);
    assert_eq!(lanes.queued(&LaneId::Partition(0)), Some(0));
}

/// Lanes that differ in their handler only, in their key only, or in their kind only.
fn some_lanes() -> [LaneId; 6] {
    let key = |handler, key: &'static [u8]| LaneId::Key(StateId { handler, key: Bytes::from_static(key) });
    [key(0, b"a"), key(1, b"a"), key(0, b"b"), key(0, b""), LaneId::Partition(0), LaneId::Partition(1)]
}

proptest! {
    /// Against a queue for each busy lane. What arrives is numbered, so that order shows.
    #[test]
    fn agree_with_a_queue_for_each_busy_lane(steps in prop::collection::vec((0_u8..16, 0_usize..6), 0..150)) {
        let ids = some_lanes();
        let mut lanes = Lanes::default();
        let mut queues: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
        for (number, (step, place)) in steps.into_iter().enumerate() {
            match step {
                0 => {
                    let waiting = queues.values().map(VecDeque::len).sum::<usize>();
                    prop_assert_eq!(lanes.forget_waiting(), waiting);
                    queues.values_mut().for_each(VecDeque::clear);
                }
                1..6 => {
                    let next = queues.get_mut(&place).and_then(VecDeque::pop_front);
                    prop_assert_eq!(lanes.next(&ids[place]), next);
                    if next.is_none() {
                        queues.remove(&place);
                    }
                }
                _ => {
                    if let Some(queue) = queues.get_mut(&place) {
                        lanes.push(&ids[place], number);
                        queue.push_back(number);
                    } else {
                        lanes.occupy(ids[place].clone());
                        queues.insert(place, VecDeque::new());
                    }
                }
            }
            for (place, id) in ids.iter().enumerate() {
                prop_assert_eq!(lanes.queued(id), queues.get(&place).map(VecDeque::len));
            }
            prop_assert_eq!(lanes.waiting, queues.values().map(VecDeque::len).sum::<usize>());
        }
        for (place, queue) in queues {
            let left: Vec<usize> = std::iter::from_fn(|| lanes.next(&ids[place])).collect();
            prop_assert_eq!(left, Vec::from(queue));
        }
        prop_assert_eq!(lanes.waiting, 0);
    }
}
