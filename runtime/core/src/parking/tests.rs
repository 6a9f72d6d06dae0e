use bytes::Bytes;

use super::*;
use crate::state::StateId;

fn lane(key: &'static str) -> LaneId {
    LaneId::Key(StateId { handler: 0, key: Bytes::from_static(key.as_bytes()) })
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Parks a record of ten bytes.
fn park(parking: &mut Parking, key: &'static str, waits: &Waits) -> u64 {
    let number = parking.number();
    let slot = Slot { lane: lane_key(&lane(key), "h"), number, bytes: 10 };
    parking.add(&lane(key), slot, waits);
    number
}

#[test]
fn the_first_of_a_lane_waits_and_the_others_wait_behind_it() {
    let mut parking = Parking::default();
    let first = park(&mut parking, "a", &Waits::Until(50));
    let second = park(&mut parking, "a", &Waits::Behind);
    assert!(parking.holds(&lane("a")) && !parking.holds(&lane("b")));
    assert_eq!(parking.begin(&lane("a")), None, "it is not due");
    assert_eq!(parking.next_due(), Some(at(50)));
    assert_eq!(parking.take_due(at(49)), None);
    assert_eq!(parking.take_due(at(50)), Some(lane("a")));
    assert_eq!(parking.begin(&lane("a")).map(|slot| slot.number), Some(first));
    assert_eq!(parking.begin(&lane("a")), None, "one at a time");
    parking.remove(&lane("a"), first);
    assert_eq!(parking.begin(&lane("a")).map(|slot| slot.number), Some(second));
    parking.remove(&lane("a"), second);
    assert!(parking.is_empty() && parking.next_due().is_none());
}

#[test]
fn a_lane_that_is_held_goes_on_when_it_is_released() {
    let mut parking = Parking::default();
    park(&mut parking, "a", &Waits::Held { letter: String::new() });
    let behind = park(&mut parking, "a", &Waits::Behind);
    assert!(parking.waiting() == 0 && parking.next_due().is_none());
    parking.remove(&lane("a"), behind);
    assert_eq!(parking.begin(&lane("a")), None, "the first of them still is");
    parking.set_head(&lane("a"), &Waits::Behind);
    assert!(parking.begin(&lane("a")).is_some());
}

#[test]
fn bounds_count_records_and_bytes_of_a_lane_and_of_all() {
    let limits = Limits { parked: 4, parked_bytes: 45, lane_parked: 2, lane_parked_bytes: 100, ..Limits::default() };
    let mut parking = Parking::default();
    park(&mut parking, "a", &Waits::Until(1));
    assert!(parking.has_room(&lane("a"), 10, &limits));
    park(&mut parking, "a", &Waits::Behind);
    assert!(!parking.has_room(&lane("a"), 10, &limits), "two of a lane");
    assert!(parking.has_room(&lane("b"), 10, &limits));
    park(&mut parking, "b", &Waits::Until(1));
    assert!(!parking.has_room(&lane("c"), 20, &limits), "bytes of all");
    park(&mut parking, "c", &Waits::Until(1));
    assert!(!parking.has_room(&lane("d"), 1, &limits), "records of all");
    parking.remove(&lane("c"), 3);
    assert!(parking.has_room(&lane("d"), 1, &limits));
    parking.resize(&lane("b"), 30);
    assert!(!parking.has_room(&lane("d"), 1, &limits), "it grew");
}

#[test]
fn numbers_go_on_behind_what_was_found_in_state() {
    let mut parking = Parking::default();
    parking.add(&lane("a"), Slot { lane: lane_key(&lane("a"), "h"), number: 7, bytes: 1 }, &Waits::Behind);
    assert_eq!(parking.number(), 8);
    assert_eq!(parking.ready(), [lane("a")]);
}

#[test]
fn lanes_are_told_apart_in_state_whatever_their_keys_are() {
    let long = LaneId::Key(StateId { handler: 0, key: Bytes::from(vec![b'x'; 5_000]) });
    let longer = LaneId::Key(StateId { handler: 0, key: Bytes::from(vec![b'x'; 5_001]) });
    let alone = LaneId::Alone(0, crate::record::TopicPartition::new("t", 0).at(1));
    let lanes = [lane("a"), lane("b"), long.clone(), longer, LaneId::Partition(0), alone];
    let keys: std::collections::BTreeSet<Bytes> = lanes.iter().map(|lane| lane_key(lane, "h")).collect();
    assert_eq!(keys.len(), lanes.len());
    assert_ne!(lane_key(&lane("a"), "h"), lane_key(&lane("a"), "g"));
    assert!(lane_key(&long, "h").len() < 100, "a store takes keys of some size only");
}
