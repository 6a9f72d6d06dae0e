//! The contract of [`Broker`](tidemill_core::ports::Broker) and [`Topics`](tidemill_core::ports::Topics) beside groups.

use tidemill_core::ports::{Answer, CommitBatch, Committing, Lag, ShardCommit, TopicInfo};
use tidemill_core::progress::Progress;
use tidemill_core::time::Timestamp;

use super::scene::{Check, Fixture, Scene, checks, records_for, run_all};

const CHECKS: &[Check] = checks![
    "a topic is there when it was created" => topics,
    "a publish is applied whole or not at all" => publish_whole,
    "offsets tell where a partition begins and ends" => offsets,
    "an offset is found by time" => offset_at,
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
    let outputs = records_for([(&good, "a", at), (&bad, "b", at)]);
    assert!(scene.broker.publish(outputs).await.is_err());
    assert_eq!(scene.broker.topics().offsets(&good).await, Ok((0, 0)));
    let nothing = records_for([]);
    assert_eq!(scene.broker.publish(nothing).await, Ok(()));
}

async fn offsets(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let place = scene.partition("in", 1);
    let topics = scene.broker.topics();
    assert_eq!(topics.offsets(&place).await, Ok((0, 0)));
    scene.publish(&place, 0..5).await;
    assert_eq!(topics.offsets(&place).await, Ok((0, 5)));
    assert_eq!(topics.offsets(&scene.partition("in", 0)).await, Ok((0, 0)));
}

async fn offset_at(scene: &mut Scene<'_>) {
    scene.create("in", 1).await;
    let place = scene.partition("in", 0);
    let topics = scene.broker.topics();
    assert_eq!(topics.offset_at(&place, Timestamp::from_millis(0)).await, Ok(None));
    for first in [0, 3, 6] {
        scene.publish(&place, first..first + 3).await;
    }
    for (millis, expected) in
        [(-5, Some(0)), (0, Some(0)), (1, Some(1)), (3_000, Some(3)), (8_000, Some(8)), (8_001, None)]
    {
        let found = topics.offset_at(&place, Timestamp::from_millis(millis)).await;
        assert_eq!(found, Ok(expected), "at {millis} ms");
    }
}

async fn lag(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let (place, other) = (scene.partition("in", 0), scene.partition("in", 1));
    let (group, topics) = (scene.name("group"), [scene.name("in")]);
    let expect = |first, second| {
        Ok(vec![Lag { partition: place.clone(), records: first }, Lag { partition: other.clone(), records: second }])
    };
    assert_eq!(scene.broker.lag(&group, &topics).await, expect(0, 0));
    scene.publish(&place, 0..7).await;
    scene.publish(&other, 0..2).await;
    assert_eq!(scene.broker.lag(&group, &topics).await, expect(7, 2), "a group that never committed has all before it");
    scene.join("group", &["in"]);
    scene.until_shared(&[("in", 2)]).await;
    let generation = scene.peer(0).held[&place];
    let mut progress = Progress::default();
    progress.take(0);
    progress.take_done(4);
    let part = ShardCommit { shard: 0, generation, changes: Vec::new(), progress: vec![(place.clone(), progress)] };
    let batch = CommitBatch { shards: vec![part], units: 1, ..CommitBatch::default() };
    let answer = match scene.peer(0).commits.clone() {
        Committing::Batch(commits) => commits.commit(batch.into()).await,
        Committing::Unit(commits) => commits.fold(batch.into()).await,
    };
    assert_eq!(answer, Answer::Committed);
    assert_eq!(scene.broker.lag(&group, &topics).await, expect(3, 2), "offset 0, and two behind offset 4");
    assert_eq!(scene.broker.lag(&scene.name("another"), &topics).await, expect(7, 2));
    assert!(scene.broker.lag(&group, &[scene.name("nowhere")]).await.is_err());
}

async fn unknown_group(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    let group = scene.name("group");
    assert_eq!(scene.broker.shards(&group).await, Ok(0));
    let all = tidemill_core::ports::KeyRange::prefix(bytes::Bytes::new());
    assert_eq!(scene.broker.state(&group, 0, &all, 10).await, Ok(Vec::new()));
}
