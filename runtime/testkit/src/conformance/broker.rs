//! The contract of [`Broker`](tidemill_core::ports::Broker) and [`Topics`](tidemill_core::ports::Topics) beside groups.

use tidemill_core::ports::{Answer, CommitBatch, Committing, Lag, ShardCommit, TopicInfo};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;

use super::scene::{Check, Fixture, Scene, checks, records_for, run_all};

const CHECKS: &[Check] = checks![
    "a topic is there when it was created" => topics,
    "a publish is applied whole or not at all" => publish_whole,
    "offsets tell where a partition begins and ends" => offsets,
    "an offset is found by time" => offset_at,
    "records are read by whoever is in no group" => records,
    "lag counts what is not done and committed" => lag,
    "a group that never was has nothing" => unknown_group,
];

/// Runs every check of topics, publishing and lag, and panics with the names of those that failed.
pub fn broker(fixture: &dyn Fixture) {
    run_all(fixture, "broker", CHECKS);
}

async fn topics(scene: &mut Scene<'_>) {
    let (topics, name) = (scene.broker.topics(), scene.name("in"));
    assert_eq!(topics.describe(&name).await, Ok(None));
    scene.create("in", 3).await;
    let Ok(Some(TopicInfo { partitions: 3, id })) = topics.describe(&name).await else {
        panic!("not as it was created")
    };
    scene.create("in", 3).await;
    assert_eq!(topics.describe(&name).await, Ok(Some(TopicInfo { partitions: 3, id: id.clone() })), "made again");
    assert!(topics.create(&name, 4).await.is_err(), "with another number of partitions");
    scene.create("other", 3).await;
    let other = topics.describe(&scene.name("other")).await.expect("it answers").expect("it is there");
    assert_ne!(other.id, id);
    assert!(topics.offsets(&scene.partition("in", 3)).await.is_err(), "a partition that is not there");
    assert!(topics.offsets(&scene.partition("nowhere", 0)).await.is_err(), "a topic that is not there");
}

async fn publish_whole(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let (good, bad) = (scene.partition("in", 0), scene.partition("in", 5));
    let at = Timestamp::default();
    let outputs = records_for([(&good, "1", at), (&bad, "2", at)]);
    assert!(scene.broker.publish(outputs).await.is_err());
    let nothing = records_for([]);
    assert_eq!(scene.broker.publish(nothing).await, Ok(()));
    // What was undone may have taken offsets; nobody reads a record of it.
    scene.publish(&good, 3..4).await;
    let (_, end) = scene.broker.topics().offsets(&good).await.expect("it is there");
    scene.join("group", &["in"]).await;
    scene.until("it is at the end", |peers| peers[0].as_ref().is_some_and(|peer| peer.reached(&good) >= end)).await;
    assert_eq!(scene.peer(0).numbers(&good), [3]);
}

/// Where a partition begins and ends: the end is `records` behind the beginning, or more where offsets hold no record.
async fn bounds(scene: &Scene<'_>, place: &TopicPartition, records: u64) -> (u64, u64) {
    let (start, end) = scene.broker.topics().offsets(place).await.expect("it is there");
    assert!(start == 0 && end >= records, "{place}: {start} to {end} with {records} records");
    (start, end)
}

async fn offsets(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let place = scene.partition("in", 1);
    assert_eq!(scene.broker.topics().offsets(&place).await, Ok((0, 0)));
    scene.publish(&place, 0..5).await;
    let (_, before) = bounds(scene, &place, 5).await;
    scene.publish(&place, 5..8).await;
    let (_, end) = bounds(scene, &place, before + 3).await;
    assert_eq!(scene.broker.topics().offsets(&scene.partition("in", 0)).await, Ok((0, 0)));
    // It is the end: a reader comes there, with all records, and not behind it.
    scene.join("group", &["in"]).await;
    scene.until("it is at the end", |peers| peers[0].as_ref().is_some_and(|peer| peer.reached(&place) >= end)).await;
    scene.watch().await;
    let (_, end) = bounds(scene, &place, before + 3).await;
    assert_eq!(scene.peer(0).reached(&place), end);
    assert_eq!(scene.peer(0).numbers(&place), (0..8).collect::<Vec<u64>>());
}

async fn offset_at(scene: &mut Scene<'_>) {
    scene.create("in", 1).await;
    let place = scene.partition("in", 0);
    let topics = scene.broker.topics();
    assert_eq!(topics.offset_at(&place, Timestamp::from_millis(0)).await, Ok(None));
    for first in [0, 3, 6] {
        scene.publish(&place, first..first + 3).await;
    }
    scene.join("group", &["in"]).await;
    scene.until("all are read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() == 9)).await;
    let offsets: Vec<u64> = scene.peer(0).read.iter().map(|(_, record)| record.offset).collect();
    for (millis, expected) in
        [(-5, Some(0)), (1_000, Some(0)), (1_001, Some(1)), (4_000, Some(3)), (9_000, Some(8)), (9_001, None)]
    {
        let found = topics.offset_at(&place, Timestamp::from_millis(millis)).await;
        assert_eq!(found, Ok(expected.map(|record: usize| offsets[record])), "at {millis} ms");
    }
}

async fn records(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let (place, topics) = (scene.partition("in", 1), scene.broker.topics());
    let empty = topics.records(&place, 0, 10).await.expect("it is there");
    assert_eq!((empty.source, empty.records, empty.next), (place.clone(), Vec::new(), 0));
    scene.publish(&place, 0..5).await;
    // What was undone is read by nobody.
    let (at, nowhere) = (Timestamp::default(), scene.partition("in", 5));
    scene.broker.publish(records_for([(&place, "undone", at), (&nowhere, "undone", at)])).await.expect_err("not whole");
    scene.publish(&place, 5..8).await;
    scene.join("group", &["in"]).await;
    scene.until("all are read", |peers| peers[0].as_ref().is_some_and(|peer| peer.read.len() == 8)).await;
    let all: Vec<_> = scene.peer(0).read.iter().map(|(_, record)| record.clone()).collect();
    let (mut read, mut from) = (Vec::new(), 0);
    loop {
        let batch = topics.records(&place, from, 3).await.expect("it is there");
        assert!(batch.records.len() <= 3 && batch.next >= from, "{batch:?}");
        let is_last = batch.records.len() < 3;
        (read, from) = ([read, batch.records].concat(), batch.next);
        if is_last {
            break;
        }
    }
    assert_eq!(read, all, "as a member reads them");
    assert!(from >= topics.offsets(&place).await.expect("it is there").1);
    let some = topics.records(&place, all[3].offset, 2).await.expect("it is there");
    assert_eq!((some.records.as_slice(), some.next), (&all[3..5], all[4].offset + 1));
    let behind = topics.records(&place, from + 10, 2).await.expect("it is there");
    assert_eq!(behind.records, []);
    let other = topics.records(&scene.partition("in", 0), 0, 10).await.expect("it is there");
    assert_eq!(other.records, []);
    assert!(topics.records(&nowhere, 0, 1).await.is_err(), "a partition that is not there");
    assert!(topics.records(&scene.partition("nowhere", 0), 0, 1).await.is_err(), "a topic that is not there");
}

/// The lag of a group with this progress in both partitions. Offsets that hold no record may count, and nothing else beside the
/// records. Those of one publish into an empty partition begin at offset 0, so their numbers are their offsets.
async fn expect_lag(scene: &Scene<'_>, group: &str, progress: [&Progress; 2]) {
    let lags = scene.broker.lag(group, &[scene.name("in")]).await.expect("the topic is there");
    assert_eq!(lags.len(), 2);
    for ((number, lag), (records, progress)) in (0..).zip(lags).zip(RECORDS.into_iter().zip(progress)) {
        let place = scene.partition("in", number);
        let (_, end) = bounds(scene, &place, records).await;
        let least = (0..records).filter(|record| !progress.is_done(*record)).count() as u64;
        let most = end - progress.next() + progress.undone() as u64;
        assert_eq!(lag.partition, place);
        assert!((least..=most).contains(&lag.records), "{lag:?}, and not {least} to {most}");
    }
}

/// How many records the check of lag publishes into each partition.
const RECORDS: [u64; 2] = [7, 2];

async fn lag(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let (place, other) = (scene.partition("in", 0), scene.partition("in", 1));
    let (group, topics) = (scene.name("group"), [scene.name("in")]);
    let nothing = [&place, &other].map(|partition| Lag { partition: partition.clone(), records: 0 });
    assert_eq!(scene.broker.lag(&group, &topics).await, Ok(nothing.to_vec()));
    scene.publish(&place, 0..RECORDS[0]).await;
    scene.publish(&other, 0..RECORDS[1]).await;
    // A group that never committed has all before it.
    let none = Progress::default();
    expect_lag(scene, &group, [&none, &none]).await;
    scene.join("group", &["in"]).await;
    scene.until_shared(&[("in", 2)]).await;
    let mut progress = Progress::default();
    (0..4).for_each(|offset| progress.take(offset));
    progress.take_done(4);
    commit(scene, &place, progress.clone()).await;
    // Four before offset 4, which are more than the offsets that may hold no record, and two behind it.
    expect_lag(scene, &group, [&progress, &none]).await;
    expect_lag(scene, &scene.name("another"), [&none, &none]).await;
    // All that there is, with whatever stands between and behind the records.
    for partition in [&place, &other] {
        let (_, end) = bounds(scene, partition, 2).await;
        commit(scene, partition, Progress::starting_at(end)).await;
    }
    assert_eq!(scene.broker.lag(&group, &topics).await, Ok(nothing.to_vec()));
    assert!(scene.broker.lag(&group, &[scene.name("nowhere")]).await.is_err());
}

/// Commits progress alone.
async fn commit(scene: &mut Scene<'_>, place: &TopicPartition, progress: Progress) {
    let generation = scene.peer(0).held[place];
    let progress = vec![(place.clone(), progress)];
    let part = ShardCommit { shard: place.partition, generation, changes: Vec::new(), progress };
    let batch = CommitBatch { shards: vec![part], units: 1, ..CommitBatch::default() };
    let answer = match scene.peer(0).commits.clone() {
        Committing::Batch(commits) => commits.commit(batch.into()).await,
        Committing::Unit(commits) => commits.fold(batch.into()).await,
    };
    assert_eq!(answer, Answer::Committed);
}

async fn unknown_group(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let group = scene.name("group");
    assert_eq!(scene.broker.shards(&group).await, Ok(0));
    let all = tidemill_core::ports::KeyRange::prefix(bytes::Bytes::new());
    assert_eq!(scene.broker.state(&group, 0, &all, 10).await, Ok(Vec::new()));
}
