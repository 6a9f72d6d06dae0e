use crate::id::EventId;
use crate::lane::LaneId;
use crate::time::Timestamp;
use crate::timers::{Page, Timers, When};

fn at(due: i64) -> When {
    When { due: Timestamp::from_millis(due), scheduled: Timestamp::default(), id: EventId::from_u128(0) }
}

fn page(dues: impl IntoIterator<Item = i64>, is_last: bool) -> Page {
    Page { timers: dues.into_iter().map(|due| (at(due), LaneId::Partition(0))).collect(), is_last }
}

fn fires(timers: &mut Timers, now: i64) -> Vec<i64> {
    let due = |timers: &mut Timers| timers.take_due(Timestamp::from_millis(now)).map(|(when, _)| when.due.as_millis());
    std::iter::from_fn(|| due(timers).inspect(|_| timers.done())).collect()
}

#[test]
fn names_of_timers_sort_as_they_fire() {
    let when = |due, scheduled, id| When {
        due: Timestamp::from_millis(due),
        scheduled: Timestamp::from_millis(scheduled),
        id: EventId::from_u128(id),
    };
    let all = [when(-5, 9, 9), when(0, 0, 0), when(1, -1, 7), when(1, 2, 1), when(1, 2, 3), when(i64::MAX, 0, 0)];
    let names: Vec<_> = all.iter().map(|when| when.suffix()).collect();
    assert!(names.is_sorted());
    for when in all {
        assert_eq!(When::from_value(&when.to_value()), Some(when));
    }
    assert_eq!(When::from_value(&[0; 31]), None);
}

#[test]
fn what_lies_behind_a_page_is_read_when_the_page_has_fired() {
    let mut timers = Timers::found(2, page([10, 20], false));
    assert_eq!((timers.wanted(), timers.next_due()), (None, Some(Timestamp::from_millis(10))));
    timers.add(at(15), LaneId::Partition(0));
    // It lies behind what is known, and will be read.
    timers.add(at(30), LaneId::Partition(0));
    assert_eq!(fires(&mut timers, 100), [10, 15, 20]);
    assert!(!timers.is_empty());
    assert_eq!(timers.wanted(), Some(at(20)));
    timers.reads();
    assert_eq!(timers.wanted(), None, "it is being read");
    timers.add(at(35), LaneId::Partition(0));
    timers.add(at(21), LaneId::Partition(0));
    timers.remove(at(35));
    timers.turn_to(page([30], true));
    assert_eq!(fires(&mut timers, 100), [21, 30]);
    assert!(timers.is_empty() && timers.wanted().is_none());
}

#[test]
fn no_more_are_in_memory_than_two_pages() {
    let mut timers = Timers::found(2, page([], true));
    for due in [50, 40, 30, 20] {
        timers.add(at(due), LaneId::Partition(0));
    }
    assert_eq!(timers.wanted(), None);
    timers.add(at(10), LaneId::Partition(0));
    assert_eq!(fires(&mut timers, 100), [10, 20], "the others were let go");
    assert_eq!(timers.wanted(), Some(at(20)));
}

#[test]
fn no_more_are_taken_at_once_than_a_page() {
    let mut timers = Timers::found(2, page([1, 2, 3], true));
    let now = Timestamp::from_millis(5);
    assert!(timers.take_due(now).is_some() && timers.take_due(now).is_some());
    assert!(timers.take_due(now).is_none() && timers.is_due(Timestamp::from_millis(0)), "two are not done");
    timers.done();
    assert_eq!(timers.take_due(now).map(|(when, _)| when), Some(at(3)));
}
