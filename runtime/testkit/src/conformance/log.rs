//! The contract of [`Log`](tidemill_core::ports::Log) about records.

use std::pin::pin;

use tidemill_core::ports::Start;
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;

use super::peer::{PLENTY, number};
use super::scene::{Check, Fixture, Scene, checks, records_for, run_all};

const CHECKS: &[Check] = checks![
    "records come in order, each once" => in_order_each_once,
    "the position comes to the end of the partition" => to_the_end,
    "a record comes as it was published" => as_it_was,
    "a start at an offset begins there" => start_at_offset,
    "a start at the end brings what comes later" => start_at_end,
    "a start at a time begins with the first record of that time or later" => start_at_time,
    "starting again reads again from there" => start_again,
    "nothing comes before the start" => nothing_before_start,
    "a paused partition keeps its place" => pause_and_resume,
    "a pause ends with its assignment" => pause_ends,
    "room bounds what comes" => room,
    "without room come no records" => no_room,
    "new records wake who waits for them" => woken_by_records,
    "a release wakes who waits for the partition" => woken_by_ownership,
    "nothing comes after a release" => nothing_after_release,
    "groups read by themselves" => groups_are_apart,
];

/// Runs every check of how records come, and panics with the names of those that failed.
pub fn log(fixture: &dyn Fixture) {
    run_all(fixture, "log", CHECKS);
}

async fn in_order_each_once(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let (first, second) = (scene.partition("in", 0), scene.partition("in", 1));
    scene.publish(&first, 0..5).await;
    scene.join("group", &["in"]).await;
    scene.publish(&second, 0..300).await;
    scene.publish(&first, 5..9).await;
    scene.until("all are read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() == 309)).await;
    scene.publish(&first, 9..10).await;
    scene.until("the last is read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() == 310)).await;
    scene.watch().await;
    assert_eq!(scene.peer(0).numbers(&first), (0..10).collect::<Vec<u64>>());
    assert_eq!(scene.peer(0).numbers(&second), (0..300).collect::<Vec<u64>>());
}

async fn to_the_end(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.peer(0).start(&place, Start::Earliest);
    for publish in 0..3 {
        // Records are read already, or are still to be read, when it goes on.
        scene.publish(&place, 10 + publish..11 + publish).await;
        let count = if publish == 0 { 0 } else { usize::try_from(11 + publish).expect("small") };
        scene.until("all are read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() >= count)).await;
    }
    scene.watch().await;
    let (start, end) = scene.broker.topics().offsets(&place).await.expect("it is there");
    assert!(start == 0 && end >= 13, "{start} to {end}, with 13 records");
    scene.until("it is at the end", |peers| peers[0].as_ref().is_some_and(|peer| peer.reached(&place) >= end)).await;
    assert_eq!(scene.peer(0).reached(&place), end);
    assert_eq!(scene.peer(0).numbers(&place), (0..13).collect::<Vec<u64>>());
}

async fn as_it_was(scene: &mut Scene<'_>) {
    scene.create("in", 1).await;
    let place = scene.partition("in", 0);
    let at = Timestamp::from_millis(1_323_435_000_123);
    let outputs = records_for([(&place, "some value", at), (&place, "", Timestamp::from_millis(0))]);
    scene.broker.publish(outputs).await.expect("it can be published");
    scene.join("group", &["in"]).await;
    scene.until("both are read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() == 2)).await;
    let record = &scene.peer(0).read[0].1;
    assert_eq!((record.offset, record.timestamp), (0, at));
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"key"[..]), Some(&b"some value"[..])));
    let record = &scene.peer(0).read[1].1;
    assert_eq!(record.value.as_deref(), Some(&b""[..]), "an empty value is a value");
    assert!((0..=1).contains(&record.timestamp.as_millis()), "{}, and not the epoch", record.timestamp);
}

/// A member that holds the one partition of its topic, with records 0 to 9, and did not begin to read.
async fn holding(scene: &mut Scene<'_>) -> TopicPartition {
    scene.create("in", 1).await;
    let place = scene.partition("in", 0);
    scene.publish(&place, 0..10).await;
    scene.join("group", &["in"]).await;
    scene.peer(0).starts = false;
    scene.until_shared(&[("in", 1)]).await;
    place
}

async fn reads(scene: &mut Scene<'_>, expected: std::ops::Range<u64>) {
    let count = usize::try_from(expected.end - expected.start).expect("small");
    scene.until("all are read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() >= count)).await;
    scene.watch().await;
    let numbers: Vec<u64> = std::mem::take(&mut scene.peer(0).read).iter().map(|(_, record)| number(record)).collect();
    assert_eq!(numbers, expected.collect::<Vec<u64>>());
}

async fn start_at_offset(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.peer(0).start(&place, Start::Offset(7));
    reads(scene, 7..10).await;
    scene.publish(&place, 10..12).await;
    reads(scene, 10..12).await;
    let (_, end) = scene.broker.topics().offsets(&place).await.expect("it is there");
    // The end is a place too.
    scene.peer(0).start(&place, Start::Offset(end));
    scene.publish(&place, 12..13).await;
    reads(scene, 12..13).await;
}

async fn start_at_end(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.peer(0).start(&place, Start::Latest);
    scene.watch().await;
    reads_what_comes(scene, &place).await;
}

async fn start_at_time(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    for (millis, first) in [(0, 0), (4_999, 4), (5_000, 4), (5_001, 5)] {
        scene.peer(0).start(&place, Start::Time(Timestamp::from_millis(millis)));
        reads(scene, first..10).await;
    }
    // Behind all there are.
    scene.peer(0).start(&place, Start::Time(Timestamp::from_millis(1_000_000)));
    scene.watch().await;
    reads_what_comes(scene, &place).await;
}

/// After records 0 to 9, reads none of them, and what comes after. The place behind them may still be looked up, so records are
/// published until one is read; from there on none is left out.
async fn reads_what_comes(scene: &mut Scene<'_>, place: &TopicPartition) {
    let mut next = 10;
    while scene.peer(0).read.is_empty() {
        assert!(next < 40, "nothing is read of what comes");
        scene.publish(place, next..next + 1).await;
        next += 1;
        scene.watch().await;
    }
    scene.publish(place, next..next + 3).await;
    let first = number(&scene.peer(0).read[0].1);
    assert!(first >= 10, "record {first} was there before");
    reads(scene, first..next + 3).await;
}

async fn start_again(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.peer(0).start(&place, Start::Earliest);
    reads(scene, 0..10).await;
    scene.peer(0).start(&place, Start::Offset(4));
    reads(scene, 4..10).await;
    // In the middle of reading, too.
    scene.peer(0).start(&place, Start::Earliest);
    scene.peer(0).room = 1;
    scene.until("one is read", |peers| peers[0].as_ref().is_some_and(|peer| !peer.read.is_empty())).await;
    scene.peer(0).read.clear();
    scene.peer(0).room = PLENTY;
    scene.peer(0).start(&place, Start::Earliest);
    reads(scene, 0..10).await;
}

async fn nothing_before_start(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.publish(&place, 10..11).await;
    scene.watch().await;
    assert_eq!(scene.peer(0).numbers(&place), [0_u64; 0]);
}

async fn pause_and_resume(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.peer(0).start(&place, Start::Earliest);
    scene.peer(0).room = 1;
    scene.until("one is read", |peers| peers[0].as_ref().is_some_and(|peer| !peer.read.is_empty())).await;
    scene.peer(0).log.pause(&place);
    scene.peer(0).room = PLENTY;
    let before = scene.peer(0).read.len();
    scene.publish(&place, 10..12).await;
    scene.watch().await;
    assert_eq!(scene.peer(0).read.len(), before, "records of a paused partition");
    scene.peer(0).log.resume(&place);
    reads(scene, 0..12).await;
}

async fn pause_ends(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.peer(0).start(&place, Start::Earliest);
    scene.peer(0).log.pause(&place);
    scene.watch().await;
    // Another member takes the partition over, or a part of the group's partitions, until this one is gone and back.
    scene.drop_peer(0);
    scene.join("group", &["in"]).await;
    scene.until("it reads", |peers| peers[1].as_ref().is_some_and(|peer| peer.read.len() == 10)).await;
    // And the same member, for the same partition.
    scene.peer(1).log.pause(&place);
    scene.join("group", &["in"]).await;
    scene.drop_peer(1);
    scene.until("it reads", |peers| peers[2].as_ref().is_some_and(|peer| peer.read.len() == 10)).await;
}

async fn room(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.publish(&place, 10..200).await;
    scene.peer(0).start(&place, Start::Earliest);
    scene.peer(0).room = 40;
    let mut last = 0;
    while last < 200 {
        let before = last;
        scene.until("more is read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() > before)).await;
        last = scene.peer(0).read.len();
        assert!(last - before <= 20, "{} records in a room of 40 bytes", last - before);
    }
    assert_eq!(scene.peer(0).numbers(&place), (0..200).collect::<Vec<u64>>());
}

async fn no_room(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.peer(0).start(&place, Start::Earliest);
    scene.peer(0).room = 0;
    scene.watch().await;
    assert_eq!(scene.peer(0).numbers(&place), [0_u64; 0]);
    scene.peer(0).room = PLENTY;
    reads(scene, 0..10).await;
}

async fn woken_by_records(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    let (_, end) = scene.broker.topics().offsets(&place).await.expect("it is there");
    scene.peer(0).start(&place, Start::Offset(end));
    scene.watch().await;
    // The one poll below finds nothing; what comes later has to wake it.
    let broker = std::sync::Arc::clone(&scene.broker);
    let value = records_for([(&place, "10", Timestamp::default())]);
    let soon = scene.fixture.pass(scene.fixture.watch());
    let publish = async move {
        soon.await;
        broker.publish(value).await.expect("it can be published");
        std::future::pending::<()>().await;
    };
    let mut publish = pin!(publish);
    {
        let reading = scene.until("it is read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() == 1));
        futures_util::future::select(std::pin::pin!(reading), publish.as_mut()).await;
    }
    assert_eq!(scene.peer(0).numbers(&place), [10]);
}

async fn woken_by_ownership(scene: &mut Scene<'_>) {
    scene.create("in", 1).await;
    scene.join("group", &["in"]).await;
    scene.until_shared(&[("in", 1)]).await;
    scene.join("group", &["in"]).await;
    scene.watch().await;
    scene.drop_peer(0);
    scene.until("the other has it", |peers| peers[1].as_ref().is_some_and(|peer| peer.held.len() == 1)).await;
}

async fn nothing_after_release(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.peer(0).start(&place, Start::Earliest);
    scene.peer(0).log.leave();
    scene.until("it is asked back", |peers| peers[0].as_ref().is_some_and(|peer| peer.asked.len() == 1)).await;
    scene.peer(0).release_all();
    scene.peer(0).read.clear();
    scene.publish(&place, 10..12).await;
    // Records of what a peer does not hold fail the check.
    scene.watch().await;
    assert_eq!(scene.peer(0).read.len(), 0);
}

async fn groups_are_apart(scene: &mut Scene<'_>) {
    let place = holding(scene).await;
    scene.join("other", &["in"]).await;
    scene.until("it reads", |peers| peers[1].as_ref().is_some_and(|peer| peer.read.len() == 10)).await;
    assert!(scene.peer(0).held.contains_key(&place), "both hold it, each for its group");
}
