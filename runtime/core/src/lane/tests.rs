use bytes::Bytes;

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
